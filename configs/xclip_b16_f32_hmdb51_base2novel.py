# X-CLIP-B/16, 32 frames, on 16 videos of each of the 26 most frequent classes of HMDB51,
# tested on these and on the others; the protocol of ViFi-CLIP (arXiv:2212.03640).
#   python tools/protocol.py base2novel configs/xclip_b16_f32_hmdb51_base2novel.py none
_base_ = [
    './_base_/models/xclip_b16.py',
    './_base_/datasets/hmdb51_videos.py',
    './_base_/pipelines/frames_32.py',
    './_base_/schedules/xclip_adamw_11e.py',
    './_base_/default_runtime.py',
]

classes = 'data/hmdb51/hmdb51_base_classes.csv'
model = dict(
    neck=dict(num_frames=32),
    cls_head=dict(classes=classes, label_order=None),
    data_preprocessor=dict(
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='CutmixBlending', alpha=1.0, num_classes=26),
                dict(type='MixupBlending', alpha=0.8, num_classes=26),
            ],
        ),
    ),
)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        ann_file='hmdb51_base_train_16shot_seed0_videos.txt',
        classes=classes,
        label_order=None,
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='hmdb51_base_val_videos.txt',
        classes=classes,
        label_order=None,
        pipeline=_base_.val_pipeline,
    ),
)
test_dataloader = dict(
    dataset=dict(
        ann_file='hmdb51_base_val_videos.txt',
        classes=classes,
        label_order=None,
        pipeline=_base_.val_pipeline,
    ),
)

protocol = dict(
    name='base2novel',
    benchmark='hmdb51',
    train=True,
    axes=dict(seed=[0, 1, 2]),
    options={
        'train_dataloader.dataset.ann_file': 'hmdb51_base_train_16shot_seed{seed}_videos.txt',
        'randomness.seed': '{seed}',
    },
    evaluations=dict(
        base={
            'test_dataloader.dataset.ann_file': 'hmdb51_base_val_videos.txt',
            'test_dataloader.dataset.classes': 'data/hmdb51/hmdb51_base_classes.csv',
            'model.cls_head.classes': 'data/hmdb51/hmdb51_base_classes.csv',
        },
        novel={
            'test_dataloader.dataset.ann_file': 'hmdb51_novel_val_videos.txt',
            'test_dataloader.dataset.classes': 'data/hmdb51/hmdb51_novel_classes.csv',
            'model.cls_head.classes': 'data/hmdb51/hmdb51_novel_classes.csv',
        },
    ),
)
