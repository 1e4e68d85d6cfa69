# HMDB51 in the layout of MMAction2, split 1 of 3.
#   python tools/data/prepare.py hmdb51 --videos DIR --out data/hmdb51
_base_ = './labelled_videos.py'

data_root = 'data/hmdb51'
classes = 'hmdb51'
label_order = 'mmaction2'  # of the lists, as MMAction2's tools write them
blending = dict(
    type='RandomBatchAugment',  # one of the two, evenly, for each batch
    augments=[
        dict(type='CutmixBlending', alpha=1.0, num_classes=51),
        dict(type='MixupBlending', alpha=0.8, num_classes=51),
    ],
)

train_data = dict(
    ann_file='hmdb51_train_split_1_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    classes=classes,
    label_order=label_order,
)
val_data = dict(
    ann_file='hmdb51_val_split_1_videos.txt',
    data_root=data_root,
    data_prefix=dict(video='videos'),
    classes=classes,
    label_order=label_order,
)
train_dataloader = dict(dataset=train_data)
val_dataloader = dict(dataset=val_data)
test_dataloader = dict(dataset=val_data)
