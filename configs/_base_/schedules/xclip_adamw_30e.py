# The published recipe of X-CLIP: AdamW, 30 epochs of 256 videos a step, warm-up and cosine.
train_cfg = dict(type='ResumableEpochBasedTrainLoop', max_epochs=30, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='AmpOptimWrapper',  # float16; without a GPU bfloat16 takes its place
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=8e-6, betas=(0.9, 0.98), eps=1e-8, weight_decay=1e-3),
    constructor='XCLIPOptimWrapperConstructor',
    paramwise_cfg=dict(new_lr_mult=10.0),  # what CLIP does not have learns ten times as fast
    accumulative_counts=4,  # 8 GPUs x 8 videos x 4 = 256 for a step
)

# From 0; all groups end at the same rate.
param_scheduler = dict(
    type='LinearWarmupCosineLR',
    warmup=5,
    T_max=30,
    eta_min=8e-8,
    convert_to_iter_based=True,
)

auto_scale_lr = dict(enable=False, base_batch_size=256)
randomness = dict(seed=1024, diff_rank_seed=True)  # mixing draws anew on each GPU
