# X-CLIP on CLIP ViT-L/14: 24 layers, 1024 wide, a joint width of 768.
_base_ = './xclip_b16.py'

model = dict(
    backbone=dict(patch_size=14, embed_dims=1024, num_layers=24, output_dims=768),
    neck=dict(embed_dims=768),
    cls_head=dict(
        in_channels=768,
        patch_channels=1024,
        text_encoder=dict(model='ViT-L-14-quickgelu'),
    ),
    init_cfg=dict(model='ViT-L-14-quickgelu'),
)
