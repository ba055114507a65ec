use ndarray::ArrayView1;

use super::matrix::Precision;

/// Whose doing a score is.
///
/// A channel answers for what putting it right would take of the distance: the reconstruction-based contribution (Alcala and Qin,
/// Automatica 45, 2009). The two that take most together come first, all others answer for what they would still take with
/// these two put right: a sound channel that merely follows a faulty one has nothing left to answer for. All charts have a
/// say at once, for a fault shows in several of them.
pub(super) struct Attribution<'d> {
    charts: Vec<Reconstruction<'d>>,
    /// The number of channels.
    width: usize,
}

/// The newest T² of one chart, in which channels are put right one after the other.
pub(super) struct Reconstruction<'d> {
    precision: &'d Precision,
    layout: Layout<'d>,
    /// What T² counts for.
    weight: f64,
    /// The precision times the deviation, as the channels that are right leave it.
    product: Vec<f64>,
    /// What to take from the precision for the places that are right: the columns of its pivoted Cholesky factor, place by place.
    columns: Vec<f64>,
    /// How many columns there are, and may be.
    count: usize,
    most: usize,
}

/// Where a chart has its figures of each channel: block by block, channel by channel, figure by figure.
#[derive(Clone, Copy)]
pub(super) struct Layout<'d> {
    /// Of a channel in a block.
    pub figures: usize,
    /// The channels that the chart looks at; `None`: all of them.
    pub channels: Option<&'d [usize]>,
}

impl<'d> Attribution<'d> {
    pub fn new(width: usize) -> Self {
        Self { charts: Vec::new(), width }
    }

    pub fn add(&mut self, chart: Reconstruction<'d>) {
        self.charts.push(chart);
    }

    /// Lets what the charts so far have to say count for so many times as much.
    pub fn weigh(&mut self, factor: f64) {
        self.charts.iter_mut().for_each(|chart| chart.weight *= factor);
    }

    /// Each channel's share of the score. They sum to 1, or are all 0.
    pub fn write_shares(mut self, shares: &mut [f64]) {
        self.write_gains(shares);
        let Some(first) = leading(shares) else { return };
        let (first, second) = self.pair(first, shares);
        let alone = shares[first];
        self.put_right(first);
        self.write_gains(shares);
        // Where two channels tell only together, neither tells more than the other.
        let beside = second.map(|second| (second, shares[second].min(alone)));
        if let Some((second, gain)) = beside {
            self.put_right(second);
            self.write_gains(shares);
            shares.iter_mut().for_each(|share| *share = share.min(gain));
            shares[second] = gain;
        }
        shares[first] = alone;
        let total: f64 = shares.iter().sum();
        // The parts of a single channel may add up to a last bit more than the whole.
        shares.iter_mut().for_each(|share| *share = if total > 0.0 { (*share / total).min(1.0) } else { 0.0 });
    }

    /// The two channels that take most of the distance together, the one that takes more alone first. Whoever takes most alone
    /// may be a sound one that follows both: each of the two is looked for again beside the other.
    fn pair(&mut self, first: usize, alone: &[f64]) -> (usize, Option<usize>) {
        let Some((mut second, mut gain)) = self.beside(first) else { return (first, None) };
        let mut first = first;
        for _ in 0..EXCHANGES {
            match self.beside(second) {
                Some((other, more)) if other != first && alone[second] + more > WORTH * (alone[first] + gain) => {
                    (first, second, gain) = (second, other, more);
                }
                _ => break,
            }
        }
        if alone[second] > alone[first] { (second, Some(first)) } else { (first, Some(second)) }
    }

    /// The channel that takes most once this one is right, and how much.
    fn beside(&mut self, channel: usize) -> Option<(usize, f64)> {
        let before: Vec<(usize, Vec<f64>)> =
            self.charts.iter().map(|chart| (chart.count, chart.product.clone())).collect();
        self.put_right(channel);
        let mut gains = vec![0.0; self.width];
        self.write_gains(&mut gains);
        for (chart, (count, product)) in self.charts.iter_mut().zip(before) {
            (chart.count, chart.product) = (count, product);
        }
        let most = (0..self.width).filter(|&other| other != channel).max_by(|&a, &b| gains[a].total_cmp(&gains[b]));
        most.map(|most| (most, gains[most]))
    }

    fn put_right(&mut self, channel: usize) {
        self.charts.iter_mut().for_each(|chart| chart.put_right(channel));
    }

    /// By how much the distance falls if one more channel is put right.
    fn write_gains(&self, gains: &mut [f64]) {
        for (channel, gain) in gains.iter_mut().enumerate() {
            *gain = self.charts.iter().map(|chart| chart.weight * chart.gain(channel)).sum();
        }
    }
}

impl<'d> Reconstruction<'d> {
    /// `product` is the precision times the deviation; the places that are `missing` have nothing to answer for.
    pub fn new(
        precision: &'d Precision,
        product: ArrayView1<'_, f64>,
        missing: &[usize],
        layout: Layout<'d>,
        weight: f64,
    ) -> Self {
        let product = product.to_vec();
        let of_a_channel = layout.channels.map_or(layout.figures, |channels| product.len() / channels.len().max(1));
        let most = missing.len() + 2 * of_a_channel;
        let columns = vec![0.0; most * product.len()];
        let mut reconstruction = Self { precision, layout, weight, product, columns, count: 0, most };
        missing.iter().for_each(|&place| reconstruction.put_place_right(place));
        reconstruction
    }

    /// `pᵀ P⁻¹ p` over the channel's places.
    fn gain(&self, channel: usize) -> f64 {
        let places: Vec<usize> = self.places(channel).collect();
        let width = places.len();
        let mut factor = vec![0.0; width * width];
        let mut solved: Vec<f64> = Vec::with_capacity(width);
        for row in 0..width {
            for column in 0..=row {
                let (left, right) = (&factor[row * width..][..column], &factor[column * width..][..column]);
                let rest = self.left(places[row], places[column]) - dot(left, right);
                factor[row * width + column] = if row > column {
                    rest * factor[column * width + column]
                } else if self.is_pivot(places[row], rest) {
                    // The inverse of the diagonal: none where a place has nothing left to say.
                    1.0 / rest.sqrt()
                } else {
                    0.0
                };
            }
            let rest = self.product[places[row]] - dot(&factor[row * width..][..row], &solved);
            solved.push(rest * factor[row * width + row]);
        }
        dot(&solved, &solved)
    }

    fn put_right(&mut self, channel: usize) {
        let places: Vec<usize> = self.places(channel).collect();
        places.into_iter().for_each(|place| self.put_place_right(place));
    }

    fn put_place_right(&mut self, place: usize) {
        let pivot = self.left(place, place);
        if !self.is_pivot(place, pivot) {
            self.product[place] = 0.0;
            return;
        }
        let root = pivot.sqrt();
        let step = self.product[place] / root;
        for row in 0..self.product.len() {
            let value = self.left(row, place) / root;
            self.product[row] -= value * step;
            self.columns[row * self.most + self.count] = value;
        }
        self.count += 1;
    }

    /// A place that others make up entirely has nothing left to say.
    fn is_pivot(&self, place: usize, left: f64) -> bool {
        left > LEAST_LEFT * self.precision.diagonal(place)
    }

    /// What the places that are right leave of the precision.
    fn left(&self, row: usize, column: usize) -> f64 {
        let taken = |place: usize| &self.columns[place * self.most..][..self.count];
        self.precision.row(row)[column] - dot(taken(row), taken(column))
    }

    fn places(&self, channel: usize) -> impl Iterator<Item = usize> + use<> {
        let Layout { figures, channels } = self.layout;
        let (place, width) = match channels {
            Some(channels) => (channels.iter().position(|known| *known == channel), channels.len()),
            None => (Some(channel), 0),
        };
        let whole = self.product.len();
        let block = if width == 0 { whole } else { width * figures };
        place.into_iter().flat_map(move |place| {
            (0..whole / block.max(1))
                .flat_map(move |number| (0..figures).map(move |figure| number * block + place * figures + figure))
        })
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn leading(gains: &[f64]) -> Option<usize> {
    (0..gains.len()).max_by(|&one, &other| gains[one].total_cmp(&gains[other]))
}

/// Of one of a pair for another channel.
const EXCHANGES: usize = 3;
/// A pair is given up for one that takes so many times as much.
const WORTH: f64 = 1.02;
/// Of a place's own precision.
const LEAST_LEFT: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;

    /// Shares of a deviation from a covariance, a figure a channel.
    fn shares(covariance: &Array2<f64>, deviation: &[f64], missing: &[usize]) -> Vec<f64> {
        let precision = Precision::of(covariance.clone(), &Array1::zeros(deviation.len())).unwrap();
        let mut product = Array1::zeros(deviation.len());
        precision.quadratic(ArrayView1::from(deviation), &mut product);
        let layout = Layout { figures: 1, channels: None };
        let mut attribution = Attribution::new(deviation.len());
        attribution.add(Reconstruction::new(&precision, product.view(), missing, layout, 1.0));
        let mut shares = vec![0.0; deviation.len()];
        attribution.write_shares(&mut shares);
        shares
    }

    /// Four channels that follow one another closely.
    fn alike() -> Array2<f64> {
        Array2::from_shape_fn((4, 4), |(i, j)| if i == j { 1.0 } else { 0.97 })
    }

    #[test]
    fn of_two_that_are_off_together_the_one_that_follows_both_takes_no_blame() {
        // The third channel is the mean of the first two, nearly.
        let mut covariance = Array2::eye(4);
        for follower in [0, 1] {
            covariance[[2, follower]] = 0.5;
            covariance[[follower, 2]] = 0.5;
        }
        covariance[[2, 2]] = 0.51;
        let shares = shares(&covariance, &[3.0, 3.0, 0.0, 0.1], &[]);
        assert!(shares[0].min(shares[1]) > 3.0 * shares[2].max(shares[3]), "{shares:?}");
    }

    #[test]
    fn a_channel_that_leaves_its_company_answers_for_it_alone() {
        for faulty in 0..4 {
            let mut deviation = [0.1; 4];
            deviation[faulty] += 2.0;
            let shares = shares(&alike(), &deviation, &[]);
            assert!(shares[faulty] > 0.95, "{faulty}: {shares:?}");
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn of_two_faulty_channels_the_sound_ones_that_follow_them_take_no_blame() {
        let shares = shares(&alike(), &[1.5, 1.5, 0.0, 0.0], &[]);
        assert!(shares[0] > 0.3 && shares[1] > 0.3, "{shares:?}");
        let against = super::tests::shares(&alike(), &[1.5, -1.5, 0.0, 0.0], &[]);
        assert!(against[0] > 0.3 && against[1] > 0.3, "{against:?}");
    }

    #[test]
    fn what_is_missing_answers_for_nothing() {
        let shares = shares(&alike(), &[2.0, 0.0, 0.0, 0.0], &[2]);
        assert_eq!(shares[2], 0.0);
        assert!(shares[0] > 0.9);
    }
}
