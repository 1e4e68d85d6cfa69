# What every run shares: scope, hooks, logging, processes.
custom_imports = dict(imports=['mmxclip'], allow_failed_imports=False)
default_scope = 'mmaction'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # named, not 'auto': 'auto' takes whichever metric happens to come first
    checkpoint=dict(
        type='ResumableCheckpointHook',
        interval=1,
        save_best='acc/top1',
        rule='greater',
        max_keep_ckpts=3,
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
)

custom_hooks = [
    dict(type='ClassNamesCheckHook'),  # names of data and model in one order
    dict(type='BadVideosHook'),  # how many videos could not be read
]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),  # tools/ turn it into gloo where there is no GPU
)

log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
log_level = 'INFO'
visualizer = dict(type='ActionVisualizer', vis_backends=[dict(type='LocalVisBackend')])
load_from = None
resume = False
