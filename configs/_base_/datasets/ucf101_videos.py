# UCF101 in the layout of MMAction2, split 1 of 3.
#   python tools/data/prepare.py ucf101 --videos DIR --out data/ucf101
data_root = 'data/ucf101'
classes = 'ucf101'
blending = dict(
    type='RandomBatchAugment',  # one of the two, evenly, for each batch
    augments=[
        dict(type='CutmixBlending', alpha=1.0, num_classes=101),
        dict(type='MixupBlending', alpha=0.8, num_classes=101),
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
        ann_file='ucf101_train_split_1_videos.txt',
        data_root=data_root,
        data_prefix=dict(video='videos'),
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
        ann_file='ucf101_val_split_1_videos.txt',
        data_root=data_root,
        data_prefix=dict(video='videos'),
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
        ann_file='ucf101_val_split_1_videos.txt',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        classes=classes,
        test_mode=True,
    ),
)

val_evaluator = dict(type='VideoAccMetric')
test_evaluator = val_evaluator
