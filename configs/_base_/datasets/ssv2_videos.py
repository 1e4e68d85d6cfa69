# Something-Something V2.
#   python tools/data/prepare.py ssv2 --videos DIR --out data/ssv2
_base_ = './labelled_videos.py'

data_root = 'data/ssv2'
classes = 'ssv2'
blending = dict(
    type='RandomBatchAugment',  # one of the two, evenly, for each batch
    augments=[
        dict(type='CutmixBlending', alpha=1.0, num_classes=174),
        dict(type='MixupBlending', alpha=0.8, num_classes=174),
    ],
)

train_data = dict(
    ann_file='ssv2_train_list_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    classes=classes,
)
val_data = dict(
    ann_file='ssv2_val_list_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    classes=classes,
)
train_dataloader = dict(dataset=train_data)
val_dataloader = dict(dataset=val_data)
test_dataloader = dict(dataset=val_data)
