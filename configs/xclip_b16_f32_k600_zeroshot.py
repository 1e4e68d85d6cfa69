# X-CLIP-B/16, 32 frames, trained by xclip_b16_f32_k400, on three choices of 160 of the 220 classes
# of Kinetics-600 that Kinetics-400 lacks: the authors report 65.2 +- 0.4 % top-1.
#   mim test mmxclip configs/xclip_b16_f32_k600_zeroshot.py --checkpoint zero.pth
_base_ = [
    './_base_/models/xclip_b16.py',
    './_base_/datasets/kinetics600_videos.py',
    './_base_/pipelines/frames_32.py',
    './_base_/default_runtime.py',
]

split_classes = 'data/kinetics600/kinetics600_zeroshot_split_{split}_classes.csv'
classes = split_classes.format(split=1)

model = dict(neck=dict(num_frames=32), cls_head=dict(classes=classes))

# tested only
train_dataloader = None
val_dataloader = None
val_evaluator = None
test_dataloader = dict(
    batch_size=4,
    dataset=dict(
        ann_file='kinetics600_zeroshot_split_1_videos.txt',
        classes=classes,
        pipeline=_base_.val_pipeline,
    ),
)
test_cfg = dict(type='TestLoop')

protocol = dict(
    name='zeroshot',
    benchmark='kinetics600',
    train=False,
    axes=dict(split=[1, 2, 3]),
    options={
        'test_dataloader.dataset.ann_file': 'kinetics600_zeroshot_split_{split}_videos.txt',
        'test_dataloader.dataset.classes': split_classes,
        'model.cls_head.classes': split_classes,
    },
)
