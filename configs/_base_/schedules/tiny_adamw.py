# A few minutes on two CPU cores.
train_cfg = dict(type='ResumableEpochBasedTrainLoop', max_epochs=10, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.98), weight_decay=0.05),
    constructor='XCLIPOptimWrapperConstructor',
    paramwise_cfg=dict(new_lr_mult=10.0),  # as published: what CLIP lacks learns ten times as fast
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', begin=0, T_max=10, eta_min_ratio=0.01, convert_to_iter_based=True
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)
randomness = dict(seed=0)
