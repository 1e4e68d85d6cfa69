# X-CLIP with towers of width 32, on the data of tiny_tsn.py.
_base_ = ['./tiny_tsn.py']
tower = dict(output_dims=32, embed_dims=32, num_layers=1, num_heads=2)
model = dict(
    _delete_=True,
    type='XCLIP',
    backbone=dict(type='CrossFrameViT', img_size=32, patch_size=16, **tower),
    neck=dict(type='MultiFrameIntegrationTransformer', embed_dims=32, num_frames=2, num_heads=2),
    cls_head=dict(
        type='VideoPromptHead',
        classes=['dark', 'bright'],
        text_encoder=dict(type='CLIPTextEncoder', context_length=16, **tower),
        prompt=dict(num_layers=1, num_heads=2),
        topk=(1,),
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, format_shape='NCTHW'
    ),
)
data = dict(dataset=dict(shape=(1, 3, 2, 32, 32)))
train_dataloader = data
val_dataloader = data
test_dataloader = data
