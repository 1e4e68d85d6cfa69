# X-CLIP on CLIP ViT-B/32, for 8 frames; set neck.num_frames for another number.
model = dict(
    type='XCLIP',
    backbone=dict(
        type='CrossFrameViT',
        img_size=224,
        patch_size=32,
        embed_dims=768,
        num_layers=12,
        output_dims=512,
    ),
    neck=dict(type='MultiFrameIntegrationTransformer', embed_dims=512, num_frames=8),
    cls_head=dict(
        type='VideoPromptHead',
        in_channels=512,
        patch_channels=768,
        prompt=dict(num_layers=2, alpha=0.1),
        text_encoder=dict(type='CLIPTextEncoder', model='ViT-B-32-quickgelu'),
        label_smooth_eps=0.1,
    ),
    # the mean and deviation of ImageNet, not of CLIP, as published
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW',
    ),
    init_cfg=dict(type='OpenCLIPPretrained', model='ViT-B-32-quickgelu', pretrained='openai'),
)
