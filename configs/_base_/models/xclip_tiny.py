# X-CLIP on the image-text model that the package ships, for frames of 64 pixels.
model = dict(
    type='XCLIP',
    backbone=dict(
        type='CrossFrameViT',
        img_size=64,
        patch_size=16,
        embed_dims=96,
        num_layers=4,
        num_heads=3,
        output_dims=64,
    ),
    neck=dict(
        type='MultiFrameIntegrationTransformer',
        embed_dims=64,
        num_frames=8,
        num_heads=2,
        # both are 0.02 as published, for a width of 512; here that stalls on the order of frames
        pos_init_std=1.0,
        init_std=0.125,
    ),
    cls_head=dict(
        type='VideoPromptHead',
        in_channels=64,
        patch_channels=96,
        prompt=dict(num_layers=2, num_heads=2, alpha=0.1),
        text_encoder=dict(
            type='CLIPTextEncoder',
            output_dims=64,
            embed_dims=64,
            num_layers=2,
            num_heads=2,
            context_length=16,
            # captions of stills hold no word of motion: 'up', 'growing' are learned here
            frozen=False,
        ),
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW',
    ),
    init_cfg=dict(type='OpenCLIPPretrained', pretrained='mmxclip::tiny_clip_motion.safetensors'),
)
