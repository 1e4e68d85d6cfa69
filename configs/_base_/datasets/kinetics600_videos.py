# Kinetics-600 in the layout of MMAction2.
#   python tools/data/prepare.py kinetics600 --videos DIR --out data/kinetics600
_base_ = './labelled_videos.py'

data_root = 'data/kinetics600'
classes = 'kinetics600'
blending = dict(
    type='RandomBatchAugment',  # one of the two, evenly, for each batch
    augments=[
        dict(type='CutmixBlending', alpha=1.0, num_classes=600),
        dict(type='MixupBlending', alpha=0.8, num_classes=600),
    ],
)

train_data = dict(
    ann_file='kinetics600_train_list_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos_train'),
    classes=classes,
)
val_data = dict(
    ann_file='kinetics600_val_list_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos_val'),
    classes=classes,
)
train_dataloader = dict(dataset=train_data)
val_dataloader = dict(dataset=val_data)
test_dataloader = dict(dataset=val_data)
