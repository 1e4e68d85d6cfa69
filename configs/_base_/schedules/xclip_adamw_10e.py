# The recipe for the model that names unseen classes: 10 epochs.
_base_ = './xclip_adamw_30e.py'

train_cfg = dict(max_epochs=10)

param_scheduler = dict(
    type='LinearWarmupCosineLR',
    warmup=5,
    T_max=10,
    eta_min=8e-8,
    convert_to_iter_based=True,
)
