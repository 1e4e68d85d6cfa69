# X-CLIP on CLIP ViT-L/14 for 336 pixels.
_base_ = './xclip_l14.py'

model = dict(
    backbone=dict(
        img_size=336,
        with_cp=True,  # as published: its activations would not fit otherwise
    ),
    cls_head=dict(text_encoder=dict(model='ViT-L-14-336-quickgelu')),
    init_cfg=dict(model='ViT-L-14-336-quickgelu'),
)
