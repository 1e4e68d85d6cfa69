# X-CLIP-B/16, 32 frames, trained by xclip_b16_f32_k400, on classes of HMDB51 that it has not seen:
# the authors report 44.6 +- 5.2 % top-1.
#   mim test mmxclip configs/xclip_b16_f32_hmdb51_zeroshot.py --checkpoint zero.pth
_base_ = [
    './_base_/models/xclip_b16.py',
    './_base_/datasets/hmdb51_videos.py',
    './_base_/pipelines/frames_32.py',
    './_base_/default_runtime.py',
]

model = dict(
    neck=dict(num_frames=32), cls_head=dict(classes=_base_.classes, label_order=_base_.label_order)
)

# tested only
train_dataloader = None
val_dataloader = None
val_evaluator = None
test_dataloader = dict(
    batch_size=4,
    dataset=dict(pipeline=_base_.val_pipeline),
)
test_cfg = dict(type='TestLoop')

protocol = dict(
    name='zeroshot',
    benchmark='hmdb51',
    train=False,
    axes=dict(split=[1, 2, 3]),
    options={'test_dataloader.dataset.ann_file': 'hmdb51_val_split_{split}_videos.txt'},
)
