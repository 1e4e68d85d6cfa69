# X-CLIP-B/16, 32 frames, on 8 videos of each class of UCF101: the authors report 88.3 % top-1.
#   mim train mmxclip configs/xclip_b16_f32_ucf101_8shot.py
_base_ = './xclip_b16_f32_ucf101_2shot.py'

train_dataloader = dict(dataset=dict(ann_file='ucf101_train_split_1_8shot_seed0_videos.txt'))
