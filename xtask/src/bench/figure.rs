//! A row of the table: what was measured, and whether it is as good as it should be.

/// What a figure should be, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Nothing is promised.
    Free,
    /// So much, or less.
    AtMost(f64),
    /// Less than that.
    Below(f64),
    /// So much, or more.
    AtLeast(f64),
    /// Words that a person has to compare.
    Words(&'static str),
}

impl Goal {
    fn text(self, unit: &str) -> String {
        match self {
            Self::Free => "-".to_owned(),
            Self::AtMost(goal) => format!("<= {goal} {unit}"),
            Self::Below(goal) => format!("< {goal} {unit}"),
            Self::AtLeast(goal) => format!(">= {goal} {unit}"),
            Self::Words(words) => words.to_owned(),
        }
    }

    /// Whether an amount is as it should be; none where nothing says so.
    fn is_met(self, amount: f64) -> Option<bool> {
        match self {
            Self::Free | Self::Words(_) => None,
            Self::AtMost(goal) => Some(amount <= goal),
            Self::Below(goal) => Some(amount < goal),
            Self::AtLeast(goal) => Some(amount >= goal),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    what: String,
    amount: f64,
    unit: &'static str,
    /// The amount as it is printed.
    value: String,
    goal: Goal,
    how: &'static str,
}

impl Figure {
    /// A figure that is printed with so many decimals.
    pub fn new(
        what: impl Into<String>,
        (amount, unit): (f64, &'static str),
        decimals: usize,
        goal: Goal,
        how: &'static str,
    ) -> Self {
        Self { what: what.into(), amount, unit, value: format!("{amount:.decimals$} {unit}"), goal, how }
    }

    /// The same with more words behind the amount.
    pub fn which_is(mut self, words: &str) -> Self {
        self.value = format!("{} = {words}", self.value);
        self
    }

    /// What was measured and what it should have been, if it is not as it should be.
    fn missed(&self) -> Option<String> {
        let told = || format!("{}: {} ({})", self.what, self.value, self.goal.text(self.unit));
        (self.goal.is_met(self.amount) == Some(false)).then(told)
    }

    fn row(&self) -> [String; 5] {
        let met = match self.goal.is_met(self.amount) {
            None => "-",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        let how = self.how.to_owned();
        [self.what.clone(), self.value.clone(), self.goal.text(self.unit), met.to_owned(), how]
    }
}

/// Figures whose goals are missed, a line each; none if all are met.
pub fn missed(figures: &[Figure]) -> Option<String> {
    let missed: Vec<String> = figures.iter().filter_map(Figure::missed).collect();
    let head = format!("{} of {} figures are not as good as they should be:", missed.len(), figures.len());
    (!missed.is_empty()).then(|| format!("{head}\n  {}", missed.join("\n  ")))
}

/// The figures under their headings, each column as wide as what is in it.
pub fn table(figures: &[Figure]) -> String {
    let heading = ["WHAT", "MEASURED", "GOAL", "MET", "HOW"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heading).chain(figures.iter().map(Figure::row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (what, value, goal, met) = (width(0), width(1), width(2), width(3));
    let line = |[first, second, third, fourth, last]: &[String; 5]| {
        format!("{first:what$}  {second:>value$}  {third:goal$}  {fourth:met$}  {last}\n")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(what: &str, amount: f64, goal: Goal) -> Figure {
        Figure::new(what, (amount, "s"), 2, goal, "by a clock")
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let figures =
            [figure("a", 1.5, Goal::Free), figure("a longer one", 12.0, Goal::AtMost(3.0)).which_is("4 x as much")];
        let lines = [
            "WHAT                       MEASURED  GOAL    MET  HOW",
            "a                            1.50 s  -       -    by a clock",
            "a longer one  12.00 s = 4 x as much  <= 3 s  NO   by a clock",
        ];
        assert_eq!(table(&figures).lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_goal_is_met_on_its_side_of_the_amount() {
        let goals = [Goal::AtMost(2.0), Goal::Below(2.0), Goal::AtLeast(2.0), Goal::Free, Goal::Words("little")];
        let met = |amount: f64| goals.map(|goal| goal.is_met(amount));
        assert_eq!(met(1.9), [Some(true), Some(true), Some(false), None, None]);
        assert_eq!(met(2.0), [Some(true), Some(false), Some(true), None, None]);
        assert_eq!(met(2.1), [Some(false), Some(false), Some(true), None, None]);
        assert_eq!(met(f64::NAN), [Some(false), Some(false), Some(false), None, None], "what was not measured");
    }

    #[test]
    fn goals_that_are_missed_are_listed() {
        let figures = [figure("a", 1.0, Goal::AtMost(1.0)), figure("b", 1.0, Goal::AtLeast(1.2))];
        assert_eq!(missed(&figures[..1]), None);
        let told = "1 of 2 figures are not as good as they should be:\n  b: 1.00 s (>= 1.2 s)";
        assert_eq!(missed(&figures).as_deref(), Some(told));
    }
}
