# The recipe for few videos: 50 epochs of 64 videos a step.
_base_ = './xclip_adamw_30e.py'

train_cfg = dict(max_epochs=50)

optim_wrapper = dict(
    optimizer=dict(lr=2e-6),
    accumulative_counts=2,  # 8 GPUs x 4 videos x 2 = 64 for a step
)
param_scheduler = dict(
    type='LinearWarmupCosineLR',
    warmup=5,
    T_max=50,
    eta_min=2e-8,
    convert_to_iter_based=True,
)

auto_scale_lr = dict(base_batch_size=64)
