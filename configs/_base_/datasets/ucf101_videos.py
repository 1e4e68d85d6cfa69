# UCF101 in the layout of MMAction2, split 1 of 3.
#   python tools/data/prepare.py ucf101 --videos DIR --out data/ucf101
_base_ = './labelled_videos.py'

data_root = 'data/ucf101'
classes = 'ucf101'
blending = dict(
    type='RandomBatchAugment',  # one of the two, evenly, for each batch
    augments=[
        dict(type='CutmixBlending', alpha=1.0, num_classes=101),
        dict(type='MixupBlending', alpha=0.8, num_classes=101),
    ],
)

train_data = dict(
    ann_file='ucf101_train_split_1_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    classes=classes,
)
val_data = dict(
    ann_file='ucf101_val_split_1_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    classes=classes,
)
train_dataloader = dict(dataset=train_data)
val_dataloader = dict(dataset=val_data)
test_dataloader = dict(dataset=val_data)
