# X-CLIP-B/16, 8 frames, on all of HMDB51. Nothing is published for this setting; batch, rate and
# epochs are those for few videos, whose rate per video is that of Kinetics.
#   mim train mmxclip configs/xclip_b16_hmdb51.py
_base_ = [
    './_base_/models/xclip_b16.py',
    './_base_/datasets/hmdb51_videos.py',
    './_base_/pipelines/frames_8.py',
    './_base_/schedules/xclip_adamw_50e.py',
    './_base_/default_runtime.py',
]

model = dict(
    cls_head=dict(classes=_base_.classes, label_order=_base_.label_order),
    data_preprocessor=dict(blending=_base_.blending),
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))

protocol = dict(
    name='supervised',
    benchmark='hmdb51',
    train=True,
    axes=dict(split=[1, 2, 3]),
    options={
        'train_dataloader.dataset.ann_file': 'hmdb51_train_split_{split}_videos.txt',
        'val_dataloader.dataset.ann_file': 'hmdb51_val_split_{split}_videos.txt',
        'test_dataloader.dataset.ann_file': 'hmdb51_val_split_{split}_videos.txt',
    },
)
