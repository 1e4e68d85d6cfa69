"""The groups of X-CLIP itself, by name, and by the counts of the published recipe."""

from golden import golden_config
from mmaction.registry import MODELS
from mmengine.optim import build_optim_wrapper


def build(num_layers=2, **head):
    cfg = golden_config(backbone=dict(num_layers=num_layers))
    cfg['cls_head'].update(classes=['running', 'sitting', 'lying'], **head)
    cfg['cls_head']['text_encoder'] = dict(cfg['cls_head']['text_encoder'], vocab_size=49408)
    return MODELS.build(cfg)


def groups_of(model):
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='XCLIPOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=8e-6, weight_decay=1e-3, betas=(0.9, 0.98)),
        ),
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        group['name']: {names[id(parameter)] for parameter in group['params']}
        for group in wrapper.optimizer.param_groups
    }


def below(prefixes, *names):
    return {f'{prefix}.{name}' for prefix in prefixes for name in names}


def both(prefixes, *names):
    return {f'{stem}.{kind}' for stem in below(prefixes, *names) for kind in ('weight', 'bias')}


def weights(names):
    return [f'{name}.weight' for name in names]


def biases(names):
    return [f'{name}.bias' for name in names]


def test_every_parameter_by_name():
    groups = groups_of(build())
    vision = ['backbone.blocks.0', 'backbone.blocks.1']
    time = ['neck.blocks.0']
    prompt = ['cls_head.prompt.layers.0', 'cls_head.prompt.layers.1']
    linear = ('attn.qkv', 'attn.out_proj', 'mlp.fc1', 'mlp.fc2')
    message = ('message_fc', 'message_attn.qkv', 'message_attn.out_proj')
    asked = ('attn.q_proj', 'attn.k_proj', 'attn.v_proj', 'attn.out_proj', 'mlp.fc1', 'mlp.fc2')
    assert groups.keys() == {'base', 'base_no_decay', 'new', 'new_no_decay'}
    assert groups['base'] == below(vision, *weights(linear)) | {
        'backbone.proj',
        'backbone.patch_embed.weight',
    }
    assert groups['base_no_decay'] == (
        below(vision, *biases(linear))
        | both(vision, 'norm1', 'norm2')
        | both(['backbone'], 'ln_pre', 'ln_post')
        | {'backbone.class_embedding', 'backbone.positional_embedding'}
    )
    assert groups['new'] == (
        below(vision, *weights(message))
        | below(time, *weights(linear))
        | below(prompt, *weights(asked))
        | {'cls_head.prompt.patch_proj'}
    )
    assert groups['new_no_decay'] == (
        below(vision, *biases(message))
        | both(vision, 'message_norm')
        | below(time, *biases(linear))
        | both(time, 'norm1', 'norm2')
        | below(prompt, *biases(asked[3:]))
        | both(prompt, 'norm1', 'norm2')
        | both(['cls_head.prompt'], 'patch_norm', 'context_norm')
        | {'neck.positional_embedding', 'cls_head.prompt.alpha'}
    )


def test_counts_of_the_published_recipe():
    """12 layers: decayed and not, CLIP 50/102; MIT 4/9, prompts 13/19, messages 36/60."""
    counts = [len(names) for names in groups_of(build(num_layers=12)).values()]
    assert counts == [50, 102, 4 + 13 + 36, 9 + 19 + 60]


def test_trained_temperature_is_base_and_not_decayed():
    groups = groups_of(build(train_logit_scale=True))
    assert 'cls_head.logit_scale' in groups['base_no_decay']


def test_projection_of_foreign_features_is_new():
    groups = groups_of(build(in_channels=32, patch_channels=128))
    found = {key for key, names in groups.items() for name in names if 'video_proj' in name}
    assert found == {'new', 'new_no_decay'}
