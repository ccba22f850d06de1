"""The judge of a run of words: when the writer stands still, its critic begins anew, against what it writes now.

What a critic learnt beside its writer is about the writer's early mistakes. Against enough texts of the finished one, the difference of two
logits tends to that of log p(real) / p(written), and to draw several texts and keep the one with the largest logit is to draw from something
nearer to p(real): Azadi et al. 2019, "Discriminator rejection sampling"; for words, Deng et al. 2020, "Residual energy-based models".

The texts are drawn at a temperature below 1 (`model.judged_at`). At 1 a writer errs by rare words that are none, but real text has as many rare
words, and of a few thousand sentences no critic learns which are which; what it does see is that usual sentences are a little too usual,
and it would choose the oddest ones. Cooler texts are sound and too usual, and the more real ones among them are the less usual ones.

Shape letters: B batch, N texts, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fenshen.data import Texts
from fenshen.data.windows import Windows
from fenshen.families.textgan import OBJECTIVE, TextGAN
from fenshen.families.writer import Writer
from fenshen.media.text import UNKNOWN
from fenshen.narrate import Telling, narrate
from fenshen.nets.sentences import SentenceCritic
from fenshen.sampling import Controls
from fenshen.space import END
from fenshen.training.loop import Trainer, step_seed

EPOCHS, PART = 6, 0.25  # Times that each text is read at most, and the part of all that was read in training.
BATCH, BLOCK = 32, 128
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1e-3, 0.1, 0.5
HIDDEN = 0.2  # Part of the tokens that are not shown: a critic that sees them all soon knows the texts by heart.
COMPARED = 1000  # Held-out texts, and as many new ones, which say when it was best.


@dataclass(frozen=True)
class Court:
    """Real texts, written ones (N, L), and of both some that no judge learns from."""

    real: Windows
    written_NL: Tensor
    others: tuple[Tensor, Tensor] | None

    @classmethod
    def of(cls, trainer: Trainer, steps: int) -> Court:
        """What it takes for so many steps; `others` is None where nothing is held out."""
        assert isinstance(trainer.data, Windows)
        written_NL, others = written(trainer, min(len(trainer.data), steps * BATCH), 1), None
        if isinstance(trainer.held_out, Windows):
            count = min(len(trainer.held_out), COMPARED)
            others = trainer.held_out.draw(0, count)[0][:, 1:], written(trainer, count, 2)
        return cls(trainer.data, written_NL, others)

    def batch(self, step: int, draw: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Real and written texts (B, L), each as long as its longest one."""
        tok_BL = self.written_NL[torch.from_numpy(draw.integers(len(self.written_NL), size=BATCH)).to(self.written_NL.device)]
        return self.real.draw(step * BATCH, BATCH)[0][:, 1:], tok_BL[:, : int((tok_BL != END).sum(1).max()) + 1]

    @torch.no_grad()
    def compare(self, judge: nn.Module) -> tuple[float, float]:
        """Of all pairs of a held-out text and a new one: the mean loss, and the part that is ordered right."""
        assert self.others is not None
        real, fake = (torch.cat([judge(part) for part in tok_NL.split(BATCH)]) for tok_NL in self.others)
        margin = real[:, None] - fake
        return float(nn.functional.softplus(-margin).mean()), float((margin > 0).float().mean())


def written(trainer: Trainer, count: int, part: int) -> Tensor:
    """Texts (N, L) that the averaged writer writes, END behind each; `part` makes them others.

    They are read anew from their letters, as the judge will read them: a writer spells words with pieces that no real text is cut into.
    """
    writer, texts = trainer.averaged, trainer.dataset
    assert isinstance(writer, Writer) and isinstance(trainer.family, TextGAN) and isinstance(texts, Texts)
    telling = Telling(count, step_seed(trainer.recipe.train.seed, 0, part), tokens=writer.space.size[0], block=BLOCK, never=(UNKNOWN,),
                      controls=Controls(trainer.family.model.judged_at))  # fmt: skip
    said = (texts.alphabet.decode(ids) for ids in narrate(writer, telling, str(trainer.device)))
    rows = [torch.from_numpy(np.append(texts.alphabet.encode(text), END)) for text in said]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=END).to(trainer.device)


def train_judge(trainer: Trainer, stopped: Callable[[], object]) -> float | None:
    """Trains the family's critic anew and leaves it as it was best. The part of pairs, a held-out text and a new one, that it orders right.

    None, with the critic as it was, where `stopped` says so before the end; NaN where no text is held out.
    """
    family, seed = trainer.family, trainer.recipe.train.seed
    assert isinstance(family, TextGAN) and isinstance(trainer.data, Windows)
    steps = max(1, min(EPOCHS * len(trainer.data), round(PART * trainer.shown)) // BATCH)
    court, draw = Court.of(trainer, steps), np.random.default_rng(seed)
    torch.manual_seed(step_seed(seed, 0, 3))
    judge = family.new_critic(DROPOUT).to(trainer.device)
    optimizer = torch.optim.AdamW(judge.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    looks = np.linspace(0, steps, EPOCHS + 1).round().astype(int)[1:]
    best, accuracy, kept = np.inf, np.nan, judge.state_dict()
    for step in range(steps):
        if stopped():
            return None
        learn(judge, optimizer, *court.batch(step, draw))
        if court.others is not None and step + 1 in looks:
            loss, right = court.compare(judge.eval())
            if loss < best:
                best, accuracy, kept = loss, right, {name: value.clone() for name, value in judge.state_dict().items()}
    family.critic.load_state_dict(kept)
    family.judged.fill_(True)
    return accuracy


def learn(judge: SentenceCritic, optimizer: torch.optim.Optimizer, real_BL: Tensor, written_BL: Tensor) -> None:
    """One step."""
    real, fake = (judge.train()(hidden(tok_BL)) for tok_BL in (real_BL, written_BL))
    optimizer.zero_grad()
    OBJECTIVE.critic(real, fake, 0.0).mean().backward()
    optimizer.step()


def hidden(tok_BL: Tensor) -> Tensor:
    """Some of the tokens, but no END, become UNKNOWN."""
    return tok_BL.masked_fill((torch.rand(tok_BL.shape, device=tok_BL.device) < HIDDEN) & (tok_BL != END), UNKNOWN)
