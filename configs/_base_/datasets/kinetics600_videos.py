# Kinetics-600 in the layout of MMAction2.
#   python tools/data/prepare.py kinetics600 --videos DIR --out data/kinetics600
data_root = 'data/kinetics600'
classes = 'kinetics600'
blending = dict(
    type='RandomBatchAugment',  # one of the two, evenly, for each batch
    augments=[
        dict(type='CutmixBlending', alpha=1.0, num_classes=600),
        dict(type='MixupBlending', alpha=0.8, num_classes=600),
    ],
)

train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='LabelledVideoDataset',
        ann_file='kinetics600_train_list_videos.txt',
        data_root=data_root,
        data_prefix=dict(video='videos_train'),
        classes=classes,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='LabelledVideoDataset',
        ann_file='kinetics600_val_list_videos.txt',
        data_root=data_root,
        data_prefix=dict(video='videos_val'),
        classes=classes,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,  # of 12 views
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='LabelledVideoDataset',
        ann_file='kinetics600_val_list_videos.txt',
        data_root=data_root,
        data_prefix=dict(video='videos_val'),
        classes=classes,
        test_mode=True,
    ),
)

val_evaluator = dict(type='VideoAccMetric')
test_evaluator = val_evaluator
