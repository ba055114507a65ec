"""What the generators' frame, samplers and continuation promise."""

import math

import numpy as np
import onnxruntime
import pytest
import torch

from wheeltapper_training.generator_family import fit_continuation
from wheeltapper_training.generator_figures import parts
from wheeltapper_training.generator_frame import Frame, fit_basis
from wheeltapper_training.generator_nets import Decoder, FlatDenoiser
from wheeltapper_training.generator_package import export, flat
from wheeltapper_training.generator_quality import autocorrelation, high_energy, told_apart
from wheeltapper_training.generator_sampling import guided, invert, sample
from wheeltapper_training.generator_train import Course, Lessons, fit_adversary
from wheeltapper_training.generator_windows import CONDITION, LEVELS, Windows, hats, split
from wheeltapper_training.recordings import CHANNELS, CYCLE, HEALTHY, Run


@pytest.fixture(scope="module")
def windows() -> Windows:
    """Cycles in which channel 2 is 0 in seconds 1 to 8 and comes in equal pairs after them."""
    rng = np.random.default_rng(3)
    labels = np.array([[rng.choice(levels) for levels in LEVELS.values()] for _ in range(60)]).repeat(5, axis=0)
    level = rng.normal(size=(300, len(CHANNELS), 1))
    series = 50 + labels.sum(axis=1)[:, None, None] * 0.01 + level + 0.1 * rng.normal(size=(300, len(CHANNELS), CYCLE))
    series[:, 2, 1:9] = 0.0
    series[:, 2, 10:60:2] = series[:, 2, 9:59:2]
    return Windows(series, labels, np.arange(300) // 5)


def test_a_level_is_its_own_hat_and_a_value_between_two_is_a_blend():
    healthy = hats(np.array([[100.0, 100.0, 0.0, 130.0]]))[0]
    assert healthy.tolist() == [1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    between = hats(np.array([[60.0, 95.0, 0.5, 95.0]]))[0]
    assert between.tolist() == [0.5, 0.5, 0, 0.5, 0.5, 0, 0, 0.5, 0.5, 0, 0, 0, 0.5, 0.5]


def test_a_long_run_weighs_as_much_as_one_of_ten_cycles():
    run = np.array([1] * 200 + [2] * 10 + [3])
    windows = Windows(np.zeros((211, 1, 1)), np.zeros((211, 4)), run)
    shares = [windows.weight[run == number].sum() for number in (1, 2, 3)]
    assert shares == pytest.approx([10 / 21, 10 / 21, 1 / 21])


def test_no_run_is_on_two_sides_of_a_split():
    runs = [Run(number, HEALTHY, np.zeros((CYCLE, len(CHANNELS)))) for number in range(20)]
    parts = split(runs, (0.6, 0.2), seed=1)
    assert [len(part) for part in parts] == [12, 4, 4]
    assert sorted(run.number for part in parts for run in part) == list(range(20))


def test_what_is_chosen_by_has_no_run_of_those_that_judge():
    runs = [Run(number, HEALTHY, np.zeros((CYCLE, len(CHANNELS)))) for number in range(60)]
    learned, judging = parts(runs, seed=0, choose=False)
    assert len(judging.run) == 20
    for seed in range(3):
        chosen = [windows.run for windows in parts(runs, seed, choose=True)]
        assert sorted(np.concatenate(chosen)) == sorted(learned.run)
        assert not set(chosen[0]) & set(chosen[1])


def test_values_that_are_always_equal_stay_equal_whatever_is_decoded(windows):
    basis = fit_basis(windows, kept=12)
    frame = Frame(basis)
    frame.fit_scatter(basis, windows, basis.coordinates(windows), seed=1)
    torch.manual_seed(1)
    condition = torch.tensor(windows.condition[:20], dtype=torch.float32)
    series = frame.decode(torch.randn(20, 12), condition, torch.randn(20, len(CHANNELS), CYCLE)).detach().numpy()
    assert np.abs(series[:, 2, 1:9]).max() < 1e-3
    assert np.abs(series[:, 2, 10:60:2] - series[:, 2, 9:59:2]).max() < 1e-3
    assert series[:, 2, 9:60].std(axis=0).min() > 0.5


def test_scatter_brings_back_the_variance_that_the_components_leave(windows):
    basis = fit_basis(windows, kept=12)
    frame = Frame(basis)
    coordinates = basis.coordinates(windows)
    frame.fit_scatter(basis, windows, coordinates, seed=1)
    torch.manual_seed(1)
    inputs = [torch.tensor(value, dtype=torch.float32) for value in (coordinates, windows.condition)]
    again = frame.decode(*inputs, torch.randn(300, len(CHANNELS), CYCLE)).detach().numpy()
    steps = [np.diff(series, axis=2).var(axis=0)[:2].mean() for series in (again, windows.series)]
    assert steps[0] == pytest.approx(steps[1], rel=0.1)


@pytest.mark.parametrize(("sampler", "steps"), [("ddpm", 400), ("ddim", 100), ("dpm++", 20)])
def test_every_sampler_gives_the_variances_of_a_gaussian(sampler, steps):
    variance = torch.tensor([4.0, 1.0, 0.1])
    net = FlatDenoiser(variance).eval()
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(4000, 1, 3, generator=generator)
    drawn = sample(net, start, torch.zeros(4000, CONDITION), sampler, steps)
    assert drawn.var(dim=(0, 1)).tolist() == pytest.approx(variance.tolist(), rel=0.12)


def test_inversion_finds_the_noise_that_a_sample_was_made_from():
    net = FlatDenoiser(torch.tensor([4.0, 1.0, 0.1])).eval()
    start = torch.randn(50, 1, 3, generator=torch.Generator().manual_seed(2))
    condition = torch.zeros(50, CONDITION)
    found = invert(net, sample(net, start, condition, "ddim", 400), condition, 100)
    assert (found - start).abs().max() < 0.1


def test_guidance_goes_beyond_what_the_condition_changes():
    def net(x, level, condition):
        return condition[:, :1, None] + 0 * x

    condition = torch.ones(2, CONDITION)
    told = guided(net, 1.5)(torch.zeros(2, 1, 3), torch.zeros(2, 1), condition)
    assert torch.allclose(told, torch.full((2, 1, 3), 1.5))


def test_a_chain_of_noises_stays_standard_normal_and_is_correlated_as_the_windows_are():
    rng = np.random.default_rng(4)
    runs, length, strength = 60, 40, np.array([0.99, 0.5, 0.0])
    noise = np.empty((runs, length, 3))
    noise[:, 0] = rng.normal(size=(runs, 3))
    for place in range(1, length):
        noise[:, place] = strength * noise[:, place - 1] + np.sqrt(1 - strength**2) * rng.normal(size=(runs, 3))
    windows = Windows(np.zeros((runs * length, 1, 1)), np.zeros((runs * length, 4)), np.arange(runs * length) // length)
    link = fit_continuation((1, 3), noise.reshape(-1, 3), windows)
    generator = torch.Generator().manual_seed(1)
    chain = torch.randn(5000, 1, 3, generator=generator)
    for _ in range(30):
        before, chain = chain, link(chain, torch.randn(chain.shape, generator=generator))
    assert chain.var(dim=(0, 1)).tolist() == pytest.approx([1.0] * 3, abs=0.08)
    assert (before * chain).mean(dim=(0, 1)).tolist() == pytest.approx(strength.tolist(), abs=0.1)


def test_an_exported_network_gives_what_it_gave_for_any_batch(tmp_path):
    torch.manual_seed(1)
    net = FlatDenoiser(torch.tensor([4.0, 1.0, 0.1])).eval()
    torch.nn.init.normal_(net.out.weight)
    cases = [[torch.randn(n, 1, 3), torch.rand(n, 1), torch.rand(n, CONDITION)] for n in (2, 1, 7)]
    names = (["x", "noise_level", "condition"], ["prediction"])
    export(net, cases, names, tmp_path / "denoiser.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "denoiser.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["N", 1, 3]


def test_a_decoder_learns_against_a_critic_how_far_windows_lie_apart():
    generator = torch.Generator().manual_seed(5)
    apart = 3.0 * torch.sign(torch.randn(600, 2, generator=generator)) + 0.3 * torch.randn(600, 2, generator=generator)
    lessons = Lessons(apart, torch.zeros(600, CONDITION), torch.full((600,), 1 / 600))
    torch.manual_seed(5)
    untaught = Decoder(2, 2, 32)
    noise, condition = torch.randn(1000, 2, generator=generator), torch.zeros(1000, CONDITION)
    assert untaught(noise, condition).std() < 1.0
    made = fit_adversary(untaught, None, lessons, Course(steps=600, rate=3e-3), seed=5)(noise, condition)
    assert made.std(dim=0).tolist() == pytest.approx([3.0, 3.0], rel=0.4)
    assert (made > 0).double().mean(dim=0).tolist() == pytest.approx([0.5, 0.5], abs=0.2)


def test_energy_of_high_frequencies_is_that_of_the_noise_put_in(windows):
    noise = 0.1 * np.random.default_rng(8).normal(size=windows.series.shape)
    steady = Windows(windows.series[:, :2], windows.labels, windows.run)
    noisy = Windows(steady.series + noise[:, :2], windows.labels, windows.run)
    assert high_energy(steady, steady) == pytest.approx(1.0)
    assert high_energy(noisy, steady) == pytest.approx(2.0, rel=0.1)


def test_a_wave_is_like_itself_after_one_period_and_unlike_after_half():
    wave = np.sin(np.arange(CYCLE) * 2 * np.pi / 10)[None, None]
    lagged = autocorrelation(np.concatenate([wave, np.zeros_like(wave)]))[0]
    assert lagged[9] == pytest.approx(50 / 60, abs=0.01)
    assert lagged[4] == pytest.approx(-55 / 60, abs=0.01)


def test_a_judge_tells_a_shifted_set_and_not_an_equal_one():
    rng = np.random.default_rng(6)
    run = np.repeat(np.arange(40), 10)
    one, other = rng.normal(size=(400, 5)), rng.normal(size=(400, 5))
    assert told_apart(one, run, other, run, seed=0) < 0.06
    assert told_apart(one + 3.0, run, other, run, seed=0) > 0.4


def test_vectors_keep_eight_digits():
    assert flat(torch.tensor([[math.pi, 0.0]])) == [3.1415927, 0.0]
