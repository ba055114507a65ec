"""What the scores of the published comparison promise, and the diffusion model that is compared."""

import numpy as np
import pytest
import torch

from benchmark.context_encoder import OUTPUT, encode, fit_encoder
from benchmark.context_fid import frechet
from benchmark.contenders import Pair, copies, gaussian, halves
from benchmark.correlational import correlational
from benchmark.diffusion import Denoiser, Recipe, sample, train
from benchmark.discriminative import Judge, discriminative
from benchmark.half_whitening import HalfWhitening
from benchmark.memory import WEEK, memory, strangers
from benchmark.predictive import predictive
from benchmark.recurrent import Readers
from benchmark.windows import CHANNELS, ROWS, DataError, cut, read_rows, scale


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Sixteen weeks of three channels, from 0 to 1; the last one follows the mean of the others by an hour."""
    rng = np.random.default_rng(1)
    hours = np.arange(16 * WEEK)
    drift = rng.normal(size=(len(hours), 2)).cumsum(axis=0)
    ahead = np.sin(hours / 24 * 2 * np.pi)[:, None] + 0.05 * drift + 0.1 * rng.normal(size=(len(hours), 2))
    late = np.roll(ahead.mean(axis=1), 1) + 0.02 * rng.normal(size=len(hours))
    return scale(np.column_stack([ahead, late]))


@pytest.fixture(scope="module")
def windows(rows) -> np.ndarray:
    return cut(rows)


def write_recording(path, header: list[str], lines: int) -> None:
    path.write_text("\n".join([",".join(header)] + ["2016-07-01,1,2,3,4,5,6,7"] * lines) + "\n", encoding="utf-8")


def test_windows_are_a_row_apart_and_every_channel_spans_0_to_1(rows, windows):
    assert windows.shape == (len(rows) - 23, 24, 3)
    assert (windows[5] == rows[5:29]).all()
    assert (rows.min(axis=0) == 0).all() and (rows.max(axis=0) == 1).all()


@pytest.mark.parametrize(("header", "lines"), [(["date", *CHANNELS], 100), (["date", *reversed(CHANNELS)], ROWS)])
def test_another_recording_is_refused_with_what_was_expected(tmp_path, header, lines):
    path = tmp_path / "ETTh1.csv"
    write_recording(path, header, lines)
    with pytest.raises(DataError, match=f"ETTh1.csv.*{lines} rows.*expected {ROWS}"):
        read_rows(path)


def test_a_recording_that_is_not_there_is_answered_with_the_option_that_names_it(tmp_path):
    with pytest.raises(DataError, match="nowhere.*--data"):
        read_rows(tmp_path / "nowhere.csv")


def test_half_whitening_can_be_reverted_and_roots_the_spread(windows):
    flat = windows.reshape(len(windows), -1)
    whitening = HalfWhitening.fit(flat)
    coordinates = whitening.apply(flat)
    assert np.allclose(whitening.revert(coordinates), flat)
    assert np.allclose(coordinates.std(axis=0), whitening.deviation, rtol=1e-2)
    assert np.isclose((coordinates ** 2).sum(axis=1).mean(), flat.shape[1], rtol=1e-2)
    spread = (flat @ whitening.axes).std(axis=0)
    assert np.allclose(whitening.deviation ** 2 / whitening.deviation[-1] ** 2, spread / spread[-1], rtol=1e-2)


def test_an_untrained_denoiser_draws_the_gaussian_with_the_deviations_it_was_given():
    torch.manual_seed(1)
    deviation = torch.tensor([0.3, 1.0, 3.0])
    drawn = sample(Denoiser(deviation, Recipe(width=8, blocks=1)), 20_000, steps=40, seed=1)
    assert np.allclose(drawn.std(axis=0), deviation, rtol=0.03)


def test_a_trained_denoiser_draws_what_no_gaussian_has():
    rng = np.random.default_rng(1)
    two_heaps = rng.choice([-1.0, 1.0], size=(4000, 1)) + 0.1 * rng.normal(size=(4000, 2)) * [1.0, 10.0]
    net = train(two_heaps, two_heaps.std(axis=0), Recipe(width=32, blocks=2, steps=600), seed=1)
    drawn = sample(net, 2000, steps=20, seed=1)[:, 0]
    assert (np.abs(drawn) < 0.5).mean() < 0.05
    assert 0.4 < (drawn > 0).mean() < 0.6


def test_the_same_seed_draws_the_same_windows():
    torch.manual_seed(1)
    net = Denoiser(torch.ones(4), Recipe(width=8, blocks=1))
    assert (sample(net, 10, 5, seed=3) == sample(net, 10, 5, seed=3)).all()
    assert (sample(net, 10, 5, seed=3) != sample(net, 10, 5, seed=4)).all()


def test_discriminative_is_near_0_for_real_halves_and_near_a_half_for_what_differs(windows):
    turned = Pair(windows, windows[:, ::-1, ::-1] ** 3)
    alike, apart = discriminative([halves(windows, 1), turned], 1, Judge(hidden=8, iterations=200))
    assert alike < 0.06
    assert apart > 0.3


def test_predictive_is_small_only_where_the_last_channel_follows_the_others(windows):
    loose = windows.copy()
    loose[..., -1] = windows[np.random.default_rng(1).permutation(len(windows)), :, -1]
    followed, lost = predictive([Pair(windows, windows), Pair(windows, loose)], 1, iterations=1000)
    assert followed < 0.7 * lost


def test_networks_side_by_side_do_not_disturb_each_other(windows):
    torch.manual_seed(1)
    net = Readers(3, channels=3, hidden=4)
    series = torch.tensor(windows[:6], dtype=torch.float32).expand(3, -1, -1, -1)
    together = net(series)
    for place, network in enumerate(net.apart()):
        assert torch.allclose(net(series[network], network)[0], together[place], atol=1e-6)
    together[0].sum().backward()
    assert net.gates.grad[0].abs().sum() > 0 and net.gates.grad[1:].abs().sum() == 0


def test_correlational_tells_a_channel_that_goes_its_own_way(windows):
    loose = windows.copy()
    loose[..., 0] = np.random.default_rng(1).permutation(loose[..., 0].ravel()).reshape(loose.shape[:2])
    assert correlational(windows, windows, 1) < 0.02
    assert correlational(windows, loose, 1) > 0.05


def test_frechet_is_its_closed_form_between_normal_points():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(50_000, 3))
    moved = rng.normal(size=(50_000, 3)) * [2.0, 1.0, 1.0] + [0.0, 3.0, 0.0]
    assert frechet(points, points) == pytest.approx(0.0, abs=1e-9)
    assert frechet(points, moved) == pytest.approx(9.0 + 1.0, rel=0.03)


def test_context_fid_ranks_a_gaussian_behind_real_halves(windows):
    encoder = fit_encoder(windows, 1, iterations=30)
    one, other = halves(windows[::4], 1)
    codes = encode(encoder, one)
    assert codes.shape == (len(one), OUTPUT)
    between_halves = frechet(codes, encode(encoder, other))
    assert frechet(codes, encode(encoder, gaussian(one, len(one), 1))) > 3.0 * between_halves


def test_real_windows_are_measured_against_other_weeks_only():
    apart = strangers(500, 1000)
    assert apart.nonzero().flatten().tolist() == [*range(500 - WEEK + 1), *range(500 + WEEK, 1000)]


def test_copies_are_flagged_and_windows_that_were_not_learned_are_not():
    real, new = (cut(np.random.default_rng(seed).random((20 * WEEK, 2))) for seed in (1, 2))
    figures = memory(real, {"copies": copies(real, 500, 1), "new": new})
    assert figures["copies"].flagged == pytest.approx(20.0) and figures["copies"].distance < 0.1
    assert figures["new"].flagged < 4.0
    assert figures["new"].distance == pytest.approx(1.0, abs=0.05)
