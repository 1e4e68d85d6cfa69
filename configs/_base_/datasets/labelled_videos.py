# Loaders of videos that a text file lists; each data set says where they are.
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='LabelledVideoDataset'),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='LabelledVideoDataset', test_mode=True),
)
test_dataloader = dict(
    batch_size=1,  # of 12 views
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='LabelledVideoDataset', test_mode=True),
)

val_evaluator = dict(type='VideoAccMetric')
test_evaluator = val_evaluator
