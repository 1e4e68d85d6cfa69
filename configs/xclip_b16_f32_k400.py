# X-CLIP-B/16, 32 frames, 10 epochs on Kinetics-400: for naming classes that it has not seen.
#   mim train mmxclip configs/xclip_b16_f32_k400.py
_base_ = [
    './_base_/models/xclip_b16.py',
    './_base_/datasets/kinetics400_videos.py',
    './_base_/pipelines/frames_32.py',
    './_base_/schedules/xclip_adamw_10e.py',
    './_base_/default_runtime.py',
]

model = dict(
    neck=dict(num_frames=32),
    cls_head=dict(classes=_base_.classes),
    data_preprocessor=dict(blending=_base_.blending),
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))

optim_wrapper = dict(accumulative_counts=8)  # 8 GPUs x 4 videos x 8 = 256 for a step
