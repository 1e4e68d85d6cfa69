# X-CLIP-L/14, 8 frames, on Kinetics-600: the authors report 88.3 % top-1.
#   mim train mmxclip configs/xclip_l14_k600.py
_base_ = [
    './_base_/models/xclip_l14.py',
    './_base_/datasets/kinetics600_videos.py',
    './_base_/pipelines/frames_8.py',
    './_base_/schedules/xclip_adamw_30e.py',
    './_base_/default_runtime.py',
]

model = dict(
    cls_head=dict(classes=_base_.classes),
    data_preprocessor=dict(blending=_base_.blending),
    test_cfg=dict(max_testing_views=4),  # of the 12, at once
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))

optim_wrapper = dict(accumulative_counts=8)  # 8 GPUs x 4 videos x 8 = 256 for a step

protocol = dict(name='supervised', benchmark='kinetics600', train=True, axes=dict())
