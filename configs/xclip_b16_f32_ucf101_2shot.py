# X-CLIP-B/16, 32 frames, on 2 videos of each class of UCF101: the authors report 76.4 % top-1.
#   mim train mmxclip configs/xclip_b16_f32_ucf101_2shot.py
_base_ = [
    './_base_/models/xclip_b16.py',
    './_base_/datasets/ucf101_videos.py',
    './_base_/pipelines/frames_32.py',
    './_base_/schedules/xclip_adamw_50e.py',
    './_base_/default_runtime.py',
]

few_shot_list = 'ucf101_train_split_1_{shots}shot_seed{seed}_videos.txt'
model = dict(
    neck=dict(num_frames=32),
    cls_head=dict(classes=_base_.classes),
    data_preprocessor=dict(blending=_base_.blending),
)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(ann_file=few_shot_list.format(shots=2, seed=0), pipeline=_base_.train_pipeline),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))

protocol = dict(
    name='fewshot',
    benchmark='ucf101',
    train=True,
    axes=dict(shots=[2, 4, 8, 16], seed=[0, 1, 2]),
    options={
        'train_dataloader.dataset.ann_file': few_shot_list,
        'randomness.seed': '{seed}',
    },
)
