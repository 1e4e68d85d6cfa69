# X-CLIP on moving shapes, from the weights of a small image-text model.
#   mim train mmxclip configs/xclip_tiny_motion.py
_base_ = [
    './_base_/models/xclip_tiny.py',
    './_base_/datasets/motion_videos.py',
    './_base_/schedules/tiny_adamw.py',
    './_base_/default_runtime.py',
]

model = dict(cls_head=dict(classes='motion_seen'))
