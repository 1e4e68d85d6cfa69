"""One layer of the cross-frame communication transformer (arXiv:2208.02816, section 3.2)."""

from __future__ import annotations

from torch import Tensor, cat, nn
from torchvision.ops import StochasticDepth

from mmxclip.models.common.attention import SelfAttention
from mmxclip.models.common.transformer import LAYER_NORM_EPS, MLP


class CrossFrameBlock(nn.Module):
    """Cross-frame attention, intra-frame attention and a feed-forward network.

    Per layer, with z the tokens of a frame and z_0 its class token:

        m_t = W z_{t,0} + b                  a message per frame (eq. 3)
        m^  = m + CFA(LN(m))                 over the frames of a video (eq. 3)
        z   = z + IFA(LN([z, m^]))           within a frame (eq. 4), message dropped
        z   = z + FFN(LN(z))                 (eq. 5)

    The message is made from the class token before any normalization, is the
    last key of its frame, and neither reaches the FFN nor the next layer.

    Stochastic depth drops whole videos, with independent draws on the three
    branches. The research code masks dimension 0 of sequence-first tensors
    instead, which drops a token position for the entire batch; that is a
    mistake its authors acknowledge, and it is not repeated here.

    Args:
        embed_dims: width D.
        num_heads: heads of both attentions; None for D / 64.
        drop_path: probability that a branch is dropped, 0 to 1.
        act: activation of the FFN.
        cross_frame: whether frames exchange messages. Without them the block is
            the image model's.

    Shape:
        ``(N, T, L, D) -> (N, T, L, D)``; N videos, T frames, L = 1 + patches.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int | None = None,
        drop_path: float = 0.0,
        act: str = 'quick_gelu',
        cross_frame: bool = True,
    ) -> None:
        super().__init__()
        self.cross_frame = cross_frame
        if cross_frame:
            self.message_fc = nn.Linear(embed_dims, embed_dims)
            self.message_norm = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
            self.message_attn = SelfAttention(embed_dims, num_heads)
        self.norm1 = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.attn = SelfAttention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=LAYER_NORM_EPS)
        self.mlp = MLP(embed_dims, act)
        self.drop_path = StochasticDepth(drop_path, mode='row')  # 'row': dimension 0, videos
        if cross_frame:
            nn.init.uniform_(self.message_fc.weight, -(embed_dims**-0.5), embed_dims**-0.5)
            nn.init.uniform_(self.message_fc.bias, -(embed_dims**-0.5), embed_dims**-0.5)

    def new_parameter_names(self) -> list[str]:
        """Names of the parameters that an image model's weights cannot fill."""
        return [name for name, _ in self.named_parameters() if name.startswith('message_')]

    def messages(self, x: Tensor) -> Tensor:
        """Exchange messages between frames; ``(N, T, L, D) -> (N, T, D)``."""
        message = self.message_fc(x[:, :, 0])  # (N, T, D)
        return message + self.drop_path(self.message_attn(self.message_norm(message)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to ``(N, T, L, D)``."""
        length = x.shape[2]
        tokens = x
        if self.cross_frame:
            tokens = cat([x, self.messages(x).unsqueeze(2)], dim=2)  # (N, T, L + 1, D)
        x = x + self.drop_path(self.attn(self.norm1(tokens), num_queries=length))
        return x + self.drop_path(self.mlp(self.norm2(x)))
