"""The parts of P-STMO (Shan et al., ECCV 2022), written from its description; names and shapes are the published ones.

Everything here has the channels last, (B,T,C). Convolutions over one frame are matrix products, which is what they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

DROPOUT = 0.1  # in training, everywhere in these parts; see `set_dropout`


class DeviationNorm(nn.Module):
    """Normalises by mean and unbiased standard deviation, epsilon added to the latter; not `nn.LayerNorm`."""

    def __init__(self, channels: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.a_2 = nn.Parameter(torch.ones(channels))
        self.b_2 = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(...,C) -> (...,C)."""
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        return torch.addcmul(self.b_2, self.a_2, (x - mean) / (deviation + self.epsilon))


class SpatialEncoder(nn.Module):
    """A frame's keypoints to its features by a residual network that sees no other frame (the paper's SEM).

    Args:
        features_in: numbers per frame.
        channels: width of the result.
        hidden: width inside.
    """

    def __init__(self, features_in: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc_1 = nn.Conv1d(features_in, hidden, 1)
        self.bn_1 = nn.BatchNorm1d(hidden)
        self.fc_2 = nn.Conv1d(hidden, channels, 1)
        self.layers = nn.ModuleList([SpatialBlock(hidden)])
        self.dropout = DROPOUT

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,features_in) -> (B,T,channels)."""
        x = activate(per_frame(x, self.fc_1), self.bn_1, self.dropout)
        for layer in self.layers:
            x = layer(x)
        return per_frame(x, self.fc_2)


class SpatialBlock(nn.Module):
    """Two activated layers and a way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w1 = nn.Conv1d(channels, channels, 1)
        self.batch_norm1 = nn.BatchNorm1d(channels)
        self.w2 = nn.Conv1d(channels, channels, 1)
        self.batch_norm2 = nn.BatchNorm1d(channels)
        self.dropout = DROPOUT

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,T,C)."""
        y = activate(per_frame(x, self.w1), self.batch_norm1, self.dropout)
        return x + activate(per_frame(y, self.w2), self.batch_norm2, self.dropout)


class Attention(nn.Module):
    """Multi-head self-attention over the frames; `linears` are query, key, value and output."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(channels, channels) for _ in range(4))
        self.heads, self.dropout = heads, DROPOUT

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,T,C)."""
        return self.mix([linear(x) for linear in self.linears[:3]])

    def mix(self, projected: Sequence[Tensor]) -> Tensor:
        """Queries, keys and values (B,T,C) each -> (B,T,C)."""
        query, key, value = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in projected)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.linears[3](mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers for every frame by itself."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(channels, hidden)
        self.w_2 = nn.Linear(hidden, channels)
        self.dropout = DROPOUT

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,T,C)."""
        return self.w_2(functional.dropout(functional.relu(self.w_1(x)), self.dropout, self.training))


class StridedFeedForward(nn.Module):
    """The same whose second layer sees three neighbouring frames and keeps every `stride`-th."""

    def __init__(self, channels: int, hidden: int, stride: int) -> None:
        super().__init__()
        self.w_1 = nn.Conv1d(channels, hidden, 1)
        self.w_2 = nn.Conv1d(hidden, channels, 3, stride, padding=1)
        self.stride, self.dropout = stride, DROPOUT

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,ceil(T/stride),C)."""
        x = functional.dropout(functional.relu(per_frame(x, self.w_1)), self.dropout, self.training)
        neighbours = functional.pad(x, (0, 0, 1, 1)).unfold(1, 3, self.stride)
        return functional.linear(neighbours.flatten(2), self.w_2.weight.flatten(1), self.w_2.bias)


class Sublayer(nn.Module):
    """Holds the norm before an attention or feed-forward part, under its published name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = DeviationNorm(channels)


class Layer(nn.Module):
    """One Transformer layer, normalised before its parts. A stride makes it keep every `stride`-th frame.

    Args:
        stride: None for the layer that keeps all frames; a number, 1 too, for the many-to-one aggregator's.
    """

    def __init__(self, channels: int, hidden: int, heads: int, stride: int | None = None) -> None:
        super().__init__()
        self.self_attn = Attention(channels, heads)
        self.feed_forward = (
            FeedForward(channels, hidden) if stride is None else StridedFeedForward(channels, hidden, stride)
        )
        self.sublayer = nn.ModuleList(Sublayer(channels) for _ in range(2))
        self.stride, self.dropout = stride or 1, DROPOUT

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,ceil(T/stride),C)."""
        return self.feed(x + self._drop(self.self_attn(self.sublayer[0].norm(x))))

    def feed(self, x: Tensor) -> Tensor:
        """What comes after the attention: (B,T,C) -> (B,ceil(T/stride),C)."""
        return x[:, :: self.stride] + self._drop(self.feed_forward(self.sublayer[1].norm(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class Layers(nn.Module):
    """Layers in a row. The published files hold a final `norm` that the method never applies."""

    def __init__(self, count: int, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(channels, hidden, heads) for _ in range(count))
        self.norm = DeviationNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B,T,C) -> (B,T,C)."""
        for layer in self.layers:
            x = layer(x)
        return x


class TemporalEncoder(nn.Module):
    """Transformer over the frames of a window (the paper's TEM)."""

    def __init__(self, layers: int, frames: int, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.pos_embedding = embedding(1, frames, channels)
        self.model = Layers(layers, channels, hidden, heads)

    def forward(self, x: Tensor) -> Tensor:
        """(B,N,C) -> (B,N,C)."""
        return self.model(x + self.pos_embedding)

    def shared(self, x: Tensor) -> Tensor:
        """What windows share of the first layer: features of frames (B,T,C) -> the same with their products (B,T,4C).

        The first attention projects the norm of feature plus position. But for the division by its deviation a norm is
        linear, and so is the projection: a frame's part of both is computed once, a position's is the same everywhere.
        """
        return torch.cat([x, functional.linear(x, self._projection())], dim=-1)

    def forward_shared(self, x: Tensor) -> Tensor:
        """`forward` for windows cut from what `shared` gives: (B,N,4C) -> (B,N,C). In evaluation mode only."""
        first, weight, channels = self.model.layers[0], self._projection(), self.pos_embedding.shape[-1]
        x, products = x[..., :channels] + self.pos_embedding, x[..., channels:]
        norm, linears = first.sublayer[0].norm, first.self_attn.linears[:3]
        moved = products + functional.linear(self.pos_embedding, weight)
        offset = torch.cat([linear(norm.b_2) for linear in linears])
        projected = moved / (x.std(dim=-1, keepdim=True) + norm.epsilon) + offset
        x = first.feed(x + first.self_attn.mix(projected.chunk(3, dim=-1)))
        for layer in self.model.layers[1:]:
            x = layer(x)
        return x

    def _projection(self) -> Tensor:
        """(3C,C): subtracts the mean, scales as the norm does, projects to queries, keys and values."""
        first = self.model.layers[0]
        weight = torch.cat([linear.weight for linear in first.self_attn.linears[:3]]) * first.sublayer[0].norm.a_2
        return weight - weight.mean(dim=1, keepdim=True)


class StridedLayers(nn.Module):
    """Layers that shorten the sequence; the first three add an embedding of the position before they start."""

    def __init__(self, strides: tuple[int, ...], frames: int, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.pos_embedding_1 = embedding(1, frames, channels)
        self.pos_embedding_2 = embedding(1, frames, channels)
        self.pos_embedding_3 = embedding(1, frames, channels)
        self.layers = nn.ModuleList(Layer(channels, hidden, heads, stride) for stride in strides)
        self.norm = DeviationNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B,N,C) -> (B,1,C)."""
        positions = [self.pos_embedding_1, self.pos_embedding_2, self.pos_embedding_3]
        for i, layer in enumerate(self.layers):
            x = layer(x + positions[i][:, : x.shape[1]] if i < len(positions) else x)
        return x


class Aggregator(nn.Module):
    """Strided Transformer, many frames to one (the paper's MOFA)."""

    def __init__(self, strides: tuple[int, ...], frames: int, channels: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.model = StridedLayers(strides, frames, channels, hidden, heads)

    def forward(self, x: Tensor) -> Tensor:
        """(B,N,C) -> (B,1,C)."""
        return self.model(x)


def set_dropout(network: nn.Module, share: float) -> None:
    """Another dropout than the published one for all parts of a network."""
    for part in network.modules():
        if isinstance(part, SpatialEncoder | SpatialBlock | Attention | FeedForward | StridedFeedForward | Layer):
            part.dropout = share


def head(channels: int, outputs: int) -> nn.Sequential:
    """Batch norm and one linear layer: features to joints. Apply with `apply_head`."""
    return nn.Sequential(nn.BatchNorm1d(channels), nn.Conv1d(channels, outputs, 1))


def apply_head(x: Tensor, layers: nn.Sequential, joints: int) -> Tensor:
    """(B,T,C) -> (B,T,joints,outputs / joints)."""
    return per_frame(normalise(x, layers[0]), layers[1]).unflatten(-1, (joints, -1))


def embedding(*shape: int) -> nn.Parameter:
    """A learnt embedding or token. Neither the paper nor this code's source says how it starts: small, as is usual."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def activate(x: Tensor, norm: nn.BatchNorm1d, dropout: float) -> Tensor:
    """Batch norm, leaky ReLU and dropout of (B,T,C)."""
    return functional.dropout(functional.leaky_relu(normalise(x, norm), 0.2), dropout, norm.training)


def normalise(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Batch norm of (B,T,C) over batch and frames."""
    return norm(x.flatten(0, 1)).view(x.shape)


def per_frame(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """A convolution of width 1 over (B,T,C)."""
    return functional.linear(x, conv.weight[..., 0], conv.bias)
