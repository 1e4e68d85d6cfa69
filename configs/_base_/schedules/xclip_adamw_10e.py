# The recipe for the model that names unseen classes: 10 epochs.
_base_ = './xclip_adamw_30e.py'

train_cfg = dict(max_epochs=10)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=10,
        T_max=10,
        eta_min=8e-8,
        convert_to_iter_based=True,
    ),
]
