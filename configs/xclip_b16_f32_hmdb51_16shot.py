# X-CLIP-B/16, 32 frames, on 16 videos of each class of HMDB51: the authors report 64.0 % top-1.
#   mim train mmxclip configs/xclip_b16_f32_hmdb51_16shot.py
_base_ = './xclip_b16_f32_hmdb51_2shot.py'

train_dataloader = dict(dataset=dict(ann_file='hmdb51_train_split_1_16shot_seed0_videos.txt'))
