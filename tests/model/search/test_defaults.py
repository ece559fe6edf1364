"""The defaults of the methods: the papers' figures, and those that the docstrings say are others."""

from __future__ import annotations

from zeroskip.model.pruning.regularise import Growing
from zeroskip.model.search.finetune_settings import GROWING_STEPS, TAYLOR_SAMPLES
from zeroskip.model.search.settings import ITERATIONS, AgentSettings, AmcSettings, NetAdaptSettings


def test_amc() -> None:
    """Two hidden layers of 300, batches of 64, a soft update of 0.01, and 400 episodes of which 100 are random (AMC,
    section 4.1); another discount, noise and rate of the actor."""
    assert AgentSettings() == AgentSettings(
        hidden=300, actor_rate=1e-3, critic_rate=1e-3, follow=0.01, discount=0.0, batch=64, baseline=0.5
    )
    assert AmcSettings() == AmcSettings(
        episodes=400, warm_up=100, reward="loss", stages=1, sigma=0.2, decay=0.985, agent=AgentSettings()
    )


def test_netadapt() -> None:
    """Steps that shrink by 0.96 (section 4.1), and the rule of the authors' code."""
    assert NetAdaptSettings() == NetAdaptSettings(
        step=None, decay=0.96, pick="loss", iterations=10, learning_rate=0.003, batch_size=128
    )
    assert ITERATIONS == 30


def test_growing_regularisation() -> None:
    """Those of the paper's code for GReg-1."""
    assert Growing() == Growing(growth=1e-4, every=5, ceiling=1.0)
    assert (GROWING_STEPS, TAYLOR_SAMPLES) == (5, 2_000)
