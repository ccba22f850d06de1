"""What latents of real samples look like, once training is over: a Gaussian mixture on the aggregate posterior.

A decoder is good where encoded pictures lie, and that is not all of N(0, I): drawing latents from a density fitted afterwards to those of
the training pictures makes better samples (Ghosh et al. 2020, "From variational to deterministic autoencoders", section 4).

Noise becomes a latent by a fixed map, so that the same noise always makes the same sample. With w the weights of the components and c
their running sums, u = Φ(z₁) says which one: k where c₍ₖ₋₁₎ ≤ u < cₖ. What is left of u within k, (u - c₍ₖ₋₁₎) / wₖ, is uniform again and
gives z₁' = Φ⁻¹ of it; then h = μₖ + Lₖ z', with Lₖ Lₖᵀ the covariance of k. For z ~ N(0, I) that is exactly the mixture.

Shape letters: B batch, N samples, G groups (one per label, or 1), K components, D latent.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor, nn

COMPONENTS = 10
ROUNDS = 50  # Of expectation-maximisation, at most.
MOST_GROUPS = 64  # With more labels than this, one mixture serves them all.
ENOUGH = 5  # Latents per component and dimension that a group of its own takes.
EDGE = 1e-7  # Uniform numbers are kept so far from 0 and 1.


class Mixture(nn.Module):
    """`groups` mixtures of COMPONENTS Gaussians in `latent` dimensions; N(0, I) until it is fitted."""

    weight_GK: Tensor
    mean_GKD: Tensor
    scale_GKDD: Tensor
    fitted: Tensor

    def __init__(self, latent: int, groups: int):
        super().__init__()
        groups = groups if 0 < groups <= MOST_GROUPS else 1
        self.register_buffer("weight_GK", torch.full((groups, COMPONENTS), 1 / COMPONENTS))
        self.register_buffer("mean_GKD", torch.zeros(groups, COMPONENTS, latent))
        self.register_buffer("scale_GKDD", torch.eye(latent).repeat(groups, COMPONENTS, 1, 1))
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def groups(self) -> int:
        return len(self.weight_GK)

    def group_of(self, label_B: Tensor | None, count: int) -> Tensor:
        """Which mixture each of `count` samples is of."""
        if label_B is None or self.groups == 1:
            return torch.zeros(count, dtype=torch.long, device=self.weight_GK.device)
        return label_B

    def place(self, z_BD: Tensor, label_B: Tensor | None, truncation: float = 1.0) -> Tensor:
        """The latents h_BD that noise z stands for. `truncation` scales how far each is from the middle of its component."""
        if not self.fitted:
            return z_BD * truncation
        group_B = self.group_of(label_B, len(z_BD))
        sums_BK = self.weight_GK[group_B].double().cumsum(1)
        u_B = torch.special.ndtr(z_BD[:, 0].double()) * sums_BK[:, -1]
        k_B = torch.searchsorted(sums_BK, u_B[:, None], right=True)[:, 0].clamp(max=COMPONENTS - 1)
        weight_B = self.weight_GK[group_B, k_B].double()
        before_B = sums_BK.gather(1, k_B[:, None])[:, 0] - weight_B
        rest_B = ((u_B - before_B) / weight_B.clamp_min(1e-12)).clamp(EDGE, 1 - EDGE)
        z_BD = torch.cat([torch.special.ndtri(rest_B)[:, None].to(z_BD.dtype), z_BD[:, 1:]], 1) * truncation
        return self.mean_GKD[group_B, k_B] + torch.einsum("bij,bj->bi", self.scale_GKDD[group_B, k_B], z_BD)

    def log_prob(self, h_BD: Tensor, label_B: Tensor | None = None) -> Tensor:
        """log p(h), (B,), in nats."""
        group_B = self.group_of(label_B, len(h_BD))
        logs = []
        for k in range(COMPONENTS):
            scale_BDD = self.scale_GKDD[group_B, k]
            z_BD = torch.linalg.solve_triangular(scale_BDD, (h_BD - self.mean_GKD[group_B, k])[..., None], upper=False)[..., 0]
            volume_B = scale_BDD.diagonal(dim1=1, dim2=2).log().sum(1)
            logs.append(self.weight_GK[group_B, k].log() - 0.5 * (z_BD.square() + np.log(2 * np.pi)).sum(1) - volume_B)
        return torch.stack(logs).logsumexp(0)

    @torch.no_grad()
    def fit(self, h_ND: Tensor, label_N: Tensor | None, seed: int) -> None:
        """Expectation-maximisation by scikit-learn. A label with too few latents shares the mixture of all."""
        everything = _fitted(h_ND.double().cpu().numpy(), seed)
        for group in range(self.groups):
            mine_ND = h_ND if label_N is None or self.groups == 1 else h_ND[label_N == group]
            enough = self.groups > 1 and len(mine_ND) >= ENOUGH * h_ND.shape[1]
            found = _fitted(mine_ND.double().cpu().numpy(), seed) if enough else everything
            for place, values in zip((self.weight_GK, self.mean_GKD, self.scale_GKDD), found, strict=True):
                place[group] = torch.from_numpy(values)
        self.fitted.fill_(True)


def _fitted(h_ND: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (K), means (K, D) and lower triangles of the covariances (K, D, D); components that were not needed have weight 0."""
    from sklearn.mixture import GaussianMixture

    count = max(1, min(COMPONENTS, len(h_ND) // (ENOUGH * h_ND.shape[1])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Not converged after so many rounds is good enough.
        model = GaussianMixture(count, covariance_type="full", reg_covar=1e-4, max_iter=ROUNDS, random_state=seed).fit(h_ND)
    weights, means = np.zeros(COMPONENTS), np.zeros((COMPONENTS, h_ND.shape[1]))
    scales = np.tile(np.eye(h_ND.shape[1]), (COMPONENTS, 1, 1))
    weights[:count], means[:count], scales[:count] = model.weights_, model.means_, np.linalg.cholesky(model.covariances_)
    return weights, means, scales
