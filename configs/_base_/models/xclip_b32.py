# X-CLIP on CLIP ViT-B/32: patches of twice the side.
_base_ = './xclip_b16.py'

model = dict(
    backbone=dict(patch_size=32),
    cls_head=dict(text_encoder=dict(model='ViT-B-32-quickgelu')),
    init_cfg=dict(model='ViT-B-32-quickgelu'),
)
