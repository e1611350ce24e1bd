//! Measuring things side by side: in turn, several times over, each round beginning with another
//! one, so that whatever else the machine does meets all of them alike.

/// One thing to measure: its name, and what measures it in a round.
pub type Measure<'a, T> = (&'a str, Box<dyn FnMut(usize) -> T + 'a>);

/// The results by thing, then by round.
pub fn interleaved<T>(
    title: &str,
    rounds: usize,
    mut measures: Vec<Measure<'_, T>>,
) -> Vec<Vec<T>> {
    let mut results: Vec<Vec<T>> = measures.iter().map(|_| Vec::new()).collect();
    let count = measures.len();
    for round in 0..rounds {
        for turn in 0..count {
            let (name, measure) = &mut measures[(round + turn) % count];
            eprintln!("{title}, round {} of {rounds}: {name} ...", round + 1);
            results[(round + turn) % count].push(measure(round));
        }
    }
    results
}

/// The median, and how far the rounds are apart.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (lower, upper) = ((values.len() - 1) / 2, values.len() / 2);
        let median = f64::midpoint(values[lower], values[upper]);
        Self { median, least: values[0], most: values[values.len() - 1] }
    }

    /// Of the rounds' own ratios: two things are compared within one round.
    pub fn of_ratios(these: &[f64], those: &[f64]) -> Self {
        Self::of(these.iter().zip(those).map(|(this, that)| this / that))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_thing() {
        let order = std::cell::RefCell::new(String::new());
        let measure = |name: &'static str| -> Measure<'_, ()> {
            (name, Box::new(|_| order.borrow_mut().push_str(name)))
        };
        interleaved("test", 3, vec![measure("a"), measure("b")]);
        assert_eq!(*order.borrow(), "abbaab");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = Spread::of_ratios(&[1.0, 4.0, 2.0, 3.0], &[1.0; 4]);
        assert_eq!([spread.median, spread.least, spread.most], [2.5, 1.0, 4.0]);
    }
}
