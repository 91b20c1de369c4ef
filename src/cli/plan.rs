//! `trommel plan`: how many tokens a model wants, and how often those at hand can be used.

use std::fmt::Write;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::dedup::parse_amount;
use super::out;
use crate::error::Error;
use crate::pairs::{Kept, Pairs};
use crate::report::curve::Curve;
use crate::report::table::{aligned, short};
use crate::reuse::law::{Allocation, Epochs, Law, Repetition, Terms, flops};
use crate::run_dir::RunDir;
use crate::store::Folder;

/// Says how many tokens a model wants, and how often those at hand can be used.
///
/// Of parameters, tokens and compute, name one: the others are those of a compute-optimal model; or two, and the third
/// follows. With the tokens there are (--unique), it says how many epochs that takes, what repeated tokens are worth,
/// and where another epoch is no use. With a run of `trommel dedup --floor`, it says which threshold leaves the tokens
/// that are needed. Every law is printed with its constants and where they come from. Laws are fits to some models, some
/// data and some tokenizer: take them for the size of things.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel plan --params 7B                          # tokens, compute and loss of a 7 B model
  trommel plan --tokens 1T                          # the model for a trillion tokens
  trommel plan --params 7B --unique 30B             # epochs, if there are 30 B different tokens
  trommel plan --flops 1e22 --unique 25B            # the best model for that compute and those tokens
  trommel plan --params 1B --from out               # the threshold of deduplication that leaves enough
  trommel plan --params 1B --unique 5B --law penalty --penalty P,DELTA,KAPPA")]
pub struct Plan {
    /// The parameters of the model, N (k, M, B and T are understood).
    #[arg(long, value_name = "N", value_parser = parse_amount)]
    params: Option<u64>,
    /// The tokens it is trained on, D, every repeat counted.
    #[arg(long, value_name = "N", value_parser = parse_amount)]
    tokens: Option<u64>,
    /// The compute, C, in floating-point operations, like 1e22.
    #[arg(long, value_name = "N", value_parser = parse_positive, allow_negative_numbers = true)]
    flops: Option<f64>,
    /// The different tokens there are, U.
    #[arg(long, value_name = "N", value_parser = parse_amount)]
    unique: Option<u64>,
    /// What repeated tokens are worth.
    #[arg(long, value_enum, default_value_t = LawName::RepeatValue, value_name = "LAW")]
    law: LawName,
    /// The constants P, δ and κ of `--law penalty`, as they were fitted to models like yours; there are none by default.
    #[arg(long, value_name = "P,DELTA,KAPPA", value_parser = parse_numbers::<3>, allow_hyphen_values = true)]
    penalty: Option<[f64; 3]>,
    /// R* of `--law repeat-value`; 15.387756 by default.
    #[arg(long, value_name = "NUMBER", value_parser = parse_positive, allow_negative_numbers = true)]
    r_star: Option<f64>,
    /// The constants E, A, α, B and β of the loss L = E + A / N^α + B / D^β, as they were fitted to models like yours.
    #[arg(long, value_name = "E,A,ALPHA,B,BETA", value_parser = parse_numbers::<5>, allow_hyphen_values = true)]
    terms: Option<[f64; 5]>,
    /// The output folder of a `trommel dedup --floor`: what each threshold leaves are the different tokens there are.
    #[arg(long, value_name = "RUN", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "unique")]
    from: Option<String>,
    /// How often each token may be used when a threshold is chosen (--from).
    #[arg(long, value_name = "N", value_parser = parse_positive, allow_negative_numbers = true, default_value = "1", requires = "from")]
    epochs: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What repeated tokens are worth.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LawName {
    /// Less with every repeat (Muennighoff et al. 2023).
    RepeatValue,
    /// As much as fresh ones, but repeating adds to the loss (Lovelace et al. 2026); needs --penalty.
    Penalty,
}

/// The epochs of the table, but for those of the plan.
const EPOCHS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 40.0];

/// The most epochs that are looked through for the least loss.
const MOST_EPOCHS: f64 = 1e4;

impl Plan {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let plan = self.plan()?;
        if self.json {
            out(&(serde_json::to_string_pretty(&plan)? + "\n"))?;
        } else {
            out(&plan.page())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn plan(&self) -> anyhow::Result<Planned> {
        let law = self.law()?;
        let unique = self.unique.map(|unique| unique as f64);
        let model = self.model(unique.map(|unique| (&law, unique)))?;
        // A loss is only worth comparing with others of the same fit.
        let repeats = self.unique.is_some() || self.from.is_some();
        let fresh = self.terms()?.unwrap_or(Terms::HOFFMANN);
        let (loss, loss_terms) = match repeats {
            true => (law.after(model.params, model.tokens, 1.0).loss, law.terms),
            false => (fresh.loss(model.params, model.tokens), fresh),
        };
        let repeats = unique.map(|unique| Repeats::new(&law, model, unique));
        let thresholds = match &self.from {
            Some(from) => Some(self.thresholds(from, &law, model)?),
            None => None,
        };
        Ok(Planned { model, loss, loss_terms, allocation: Allocation::HOFFMANN, law, repeats, thresholds })
    }

    /// What is asked for, filled up by the laws. Where tokens are scarce, compute alone is split by the law of repeats.
    fn model(&self, scarce: Option<(&Law, f64)>) -> anyhow::Result<Model> {
        let [params, tokens] = [self.params, self.tokens].map(|n| n.map(|n| n as f64));
        let optimal = Allocation::HOFFMANN;
        let (params, tokens, choice) = match (params, tokens, self.flops) {
            (Some(params), None, None) => (params, optimal.tokens(params), Choice::Optimal),
            (None, Some(tokens), None) => (optimal.params(tokens), tokens, Choice::Optimal),
            (None, None, Some(c)) => match scarce {
                Some((law, unique)) => {
                    let params = law.params_for(c, unique);
                    (params, c / 6.0 / params, Choice::LeastLoss)
                }
                None => {
                    let params = optimal.params_for(c);
                    (params, c / 6.0 / params, Choice::Optimal)
                }
            },
            (Some(params), Some(tokens), None) => (params, tokens, Choice::Given),
            (Some(params), None, Some(c)) => (params, c / 6.0 / params, Choice::Given),
            (None, Some(tokens), Some(c)) => (c / 6.0 / tokens, tokens, Choice::Given),
            (None, None, None) => {
                return Err(
                    Error::refused("name what is known: --params, --tokens or --flops, like --params 7B").into()
                );
            }
            (Some(_), Some(_), Some(_)) => {
                return Err(
                    Error::refused("of --params, --tokens and --flops two make the third; leave one out").into()
                );
            }
        };
        if !(params >= 1.0 && tokens >= 1.0) {
            return Err(Error::refused("so little compute makes no model; --flops is a number like 1e22").into());
        }
        Ok(Model { params, tokens, flops: flops(params, tokens), tokens_per_param: tokens / params, choice })
    }

    fn terms(&self) -> anyhow::Result<Option<Terms>> {
        let Some([e, a, alpha, b, beta]) = self.terms else { return Ok(None) };
        if e < 0.0 || [a, alpha, b, beta].into_iter().any(|number| number <= 0.0) {
            return Err(Error::refused("--terms: A, ALPHA, B and BETA are above 0, and E is not below").into());
        }
        Ok(Some(Terms { e, a, alpha, b, beta }))
    }

    fn law(&self) -> anyhow::Result<Law> {
        let refused = |message: &str| Err(Error::refused(message).into());
        let terms = self.terms()?;
        match (self.law, self.penalty, self.r_star) {
            (LawName::RepeatValue, None, r_star) => {
                let Repetition::RepeatValue { r_star: published, r_star_params } = Repetition::MUENNIGHOFF else {
                    unreachable!("it is of this kind")
                };
                let repetition = Repetition::RepeatValue { r_star: r_star.unwrap_or(published), r_star_params };
                Ok(Law { terms: terms.unwrap_or(Terms::MUENNIGHOFF), repetition })
            }
            (LawName::Penalty, Some([scale, repeats, capacity]), None) => {
                if scale < 0.0 || repeats <= 0.0 || capacity < 0.0 {
                    return refused("--penalty: DELTA is above 0, P and KAPPA are not below");
                }
                let repetition = Repetition::Penalty { scale, repeats, capacity };
                Ok(Law { terms: terms.unwrap_or(Terms::HOFFMANN), repetition })
            }
            (LawName::Penalty, None, _) => refused(
                "--law penalty adds P · R^δ · (N/U)^κ to the loss; its constants hang on the models they were fitted to, \
                 so give those of yours with --penalty P,DELTA,KAPPA (and the others with --terms)",
            ),
            (LawName::Penalty, Some(_), Some(_)) => refused("--r-star is of --law repeat-value; leave it out"),
            (LawName::RepeatValue, Some(_), _) => refused("--penalty is of --law penalty; add that, or leave it out"),
        }
    }

    /// What each threshold of a deduplication leaves, and which one leaves enough.
    fn thresholds(&self, from: &str, law: &Law, model: Model) -> anyhow::Result<Thresholds> {
        let run_dir = RunDir::new(Folder::parse(from)?);
        let begun = run_dir.folder().find("_trommel/run.json")?.is_some();
        if run_dir.folder().find("report.json")?.is_none() {
            let what = if begun { "this run is not finished; give its command again" } else { "there is no run" };
            return Err(Error::refused(format!(
                "{from}: {what}; --from is the output folder of `trommel dedup --floor`"
            ))
            .into());
        }
        let curve = Curve::new(&Pairs::find(&run_dir)?, 20)?;
        let row = |threshold: f64, kept: Kept| {
            let unique = kept.tokens as f64;
            ThresholdRow { threshold, kept, after: law.after(model.params, unique, model.tokens / unique) }
        };
        let rows: Vec<_> = curve.points.iter().map(|point| row(point.threshold, point.kept)).collect();
        let needed = model.tokens / self.epochs;
        let chosen = rows.iter().find(|row| row.kept.tokens as f64 >= needed).map(|row| row.threshold);
        Ok(Thresholds { from: from.to_owned(), epochs: self.epochs, needed, all: curve.all, rows, chosen })
    }
}

/// The answer.
#[derive(Serialize)]
struct Planned {
    model: Model,
    /// The loss if all tokens are different.
    loss: f64,
    loss_terms: Terms,
    allocation: Allocation,
    law: Law,
    repeats: Option<Repeats>,
    thresholds: Option<Thresholds>,
}

/// A model and what it is trained on.
#[derive(Clone, Copy, Serialize)]
struct Model {
    params: f64,
    tokens: f64,
    flops: f64,
    tokens_per_param: f64,
    choice: Choice,
}

/// Where parameters and tokens come from.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    /// From the law of compute-optimal models.
    Optimal,
    /// From the least loss by the law of repeats.
    LeastLoss,
    /// From the user.
    Given,
}

/// What repeating comes to.
#[derive(Serialize)]
struct Repeats {
    unique_tokens: f64,
    /// What the plan takes.
    planned: Epochs,
    /// The fresh tokens that no number of epochs is worth more than.
    ceiling: Option<f64>,
    /// The epochs after which one more token is worth half of a fresh one, and 1/e.
    half: Option<f64>,
    one_in_e: Option<f64>,
    /// The epochs at which the loss is least.
    least_loss: Option<f64>,
    /// The table.
    rows: Vec<Epochs>,
}

impl Repeats {
    fn new(law: &Law, model: Model, unique: f64) -> Self {
        let after = |epochs: f64| law.after(model.params, unique, epochs);
        let planned = model.tokens / unique;
        let mut epochs = EPOCHS.to_vec();
        let least_loss = law.turning_point(model.params, unique, MOST_EPOCHS);
        for other in least_loss.into_iter().chain([planned]) {
            // One that is in the table already, to the digits that are shown, is not told twice.
            if epochs.iter().all(|known| (known / other - 1.0).abs() > 5e-3) {
                epochs.push(other);
            }
        }
        epochs.sort_by(f64::total_cmp);
        let ceiling = match law.repetition {
            Repetition::RepeatValue { r_star, .. } => Some(unique * (1.0 + r_star)),
            Repetition::Penalty { .. } => None,
        };
        Self {
            unique_tokens: unique,
            planned: after(planned),
            ceiling,
            half: law.epochs_until(0.5),
            one_in_e: law.epochs_until((-1f64).exp()),
            least_loss,
            rows: epochs.into_iter().map(after).collect(),
        }
    }
}

/// What each threshold of a deduplication leaves.
#[derive(Serialize)]
struct Thresholds {
    from: String,
    /// How often each token may be used.
    epochs: f64,
    /// The different tokens that are needed for that.
    needed: f64,
    /// What there was before deduplication.
    all: Kept,
    rows: Vec<ThresholdRow>,
    /// The lowest threshold that leaves as many.
    chosen: Option<f64>,
}

#[derive(Serialize)]
struct ThresholdRow {
    threshold: f64,
    #[serde(flatten)]
    kept: Kept,
    #[serde(flatten)]
    after: Epochs,
}

impl Planned {
    fn page(&self) -> String {
        let mut page = self.model_table();
        if let Some(repeats) = &self.repeats {
            page += &repeats.table(&self.model);
        }
        if let Some(thresholds) = &self.thresholds {
            page += &thresholds.table();
        }
        page + &self.laws()
    }

    fn model_table(&self) -> String {
        let Model { params, tokens, flops, tokens_per_param, choice } = self.model;
        let why = match choice {
            Choice::Optimal => "a compute-optimal model",
            Choice::LeastLoss => "the model of the least loss for this compute and these tokens",
            Choice::Given => "a model as asked for",
        };
        let row = |what: &str, figure: String, note: String| [format!("  {what}"), figure, note];
        let mut rows = vec![
            row("parameters", amount(params), String::new()),
            row("tokens", amount(tokens), format!("{tokens_per_param:.1} for each parameter")),
            row("compute", scientific(flops), "FLOPs".to_owned()),
            row("loss", format!("{:.3}", self.loss), "if all tokens are different".to_owned()),
        ];
        if choice != Choice::Optimal {
            let optimal = self.allocation.tokens(params);
            rows.insert(2, row("optimal", amount(optimal), "tokens for so many parameters".to_owned()));
        }
        format!("{why}\n{}", left(&rows))
    }

    /// The laws that were used, with their constants and sources.
    fn laws(&self) -> String {
        let mut text = String::from("\nlaws\n");
        let mut law = |what: &str, formula: &str, source: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {what:<8}  {formula}\n            {source}");
        };
        let Allocation { factor, exponent } = self.allocation;
        if self.model.choice != Choice::LeastLoss {
            law(
                "tokens",
                &format!("D = {factor} N^{exponent}"),
                "fitted to table 3 of Hoffmann et al. 2022 (arXiv 2203.15556): all rows within 3.8 %",
            );
        }
        law("compute", "C = 6 N D", "Kaplan et al. 2020 (arXiv 2001.08361), section 2.1");
        if self.repeats.is_none() && self.thresholds.is_none() {
            law("loss", &loss_of(&self.loss_terms, "N", "D"), source_of(&self.loss_terms));
            return text;
        }
        match self.law.repetition {
            Repetition::RepeatValue { r_star, r_star_params } => {
                let source = if self.law.repetition == Repetition::MUENNIGHOFF {
                    "Muennighoff et al. 2023 (arXiv 2305.16264), appendix A"
                } else {
                    "the form of Muennighoff et al. 2023 (arXiv 2305.16264), R* as given with --r-star"
                };
                law("repeats", &format!("D' = U + U R* (1 - e^(-R/R*)), R = D/U - 1, R* = {r_star}"), source);
                let formula =
                    format!("{}, N' likewise with R* = {r_star_params}", loss_of(&self.law.terms, "N'", "D'"));
                law("loss", &formula, source_of(&self.law.terms));
            }
            Repetition::Penalty { scale, repeats, capacity } => {
                let formula = format!("{} + {scale} R^{repeats} (N/U)^{capacity}", loss_of(&self.law.terms, "N", "D"));
                law(
                    "repeats",
                    &formula,
                    "the form of Lovelace et al. 2026 (arXiv 2605.01640), P, δ and κ as given with --penalty",
                );
                law("", "D' = what all fresh tokens would be for the same loss", source_of(&self.law.terms));
            }
        }
        text
    }
}

impl Repeats {
    fn table(&self, model: &Model) -> String {
        let head = ["epochs", "tokens", "worth in fresh ones", "each", "one more", "loss"].map(str::to_owned);
        let mut rows = vec![head];
        let is_planned = |row: &Epochs| (row.epochs / self.planned.epochs - 1.0).abs() <= 5e-3;
        rows.extend(self.rows.iter().map(|row| {
            let mark = if is_planned(row) { "> " } else { "  " };
            let [tokens, worth] = [row.tokens, row.effective_tokens].map(amount);
            let each = percent(row.effective_tokens / row.tokens);
            [
                format!("{mark}{}", number(row.epochs)),
                tokens,
                worth,
                each,
                percent(row.next),
                format!("{:.3}", row.loss),
            ]
        }));
        let mut text = format!(
            "\n{} tokens used again and again, by {} parameters\n",
            amount(self.unique_tokens),
            amount(model.params)
        );
        text += &aligned(&rows);
        // Writing to a string does not fail.
        if self.planned.epochs <= 1.0 {
            let _ = writeln!(text, "there are enough: {} of them are needed, each once", amount(model.tokens));
        } else {
            let Epochs { epochs, effective_tokens, tokens, .. } = self.planned;
            let share = percent(effective_tokens / tokens);
            let _ = writeln!(
                text,
                "the plan takes {} epochs, worth {} fresh tokens: {share} of as many fresh ones",
                number(epochs),
                amount(effective_tokens)
            );
        }
        if let (Some(half), Some(one_in_e), Some(ceiling)) = (self.half, self.one_in_e, self.ceiling) {
            let _ = writeln!(
                text,
                "one more token is worth half of a fresh one after {} epochs, 1/e after {}; no number of epochs is worth more than {}",
                number(half),
                number(one_in_e),
                amount(ceiling)
            );
        }
        if let Some(least) = self.least_loss {
            let _ = writeln!(text, "the loss is least after {} epochs; more do harm", number(least));
        }
        text
    }
}

impl Thresholds {
    fn table(&self) -> String {
        let head = ["threshold", "tokens", "epochs", "worth in fresh ones", "loss"].map(str::to_owned);
        let mut rows = vec![head];
        rows.extend(self.rows.iter().map(|row| {
            let mark = if Some(row.threshold) == self.chosen { "> " } else { "  " };
            let ThresholdRow { threshold, kept, after } = row;
            let epochs = number(after.epochs);
            [
                format!("{mark}{threshold}"),
                short(kept.tokens),
                epochs,
                amount(after.effective_tokens),
                format!("{:.3}", after.loss),
            ]
        }));
        let mut text = format!("\nwhat the thresholds of {} leave\n{}", self.from, aligned(&rows));
        let times = if self.epochs == 1.0 { "once".to_owned() } else { format!("{} times", number(self.epochs)) };
        let _ = match self.chosen {
            Some(threshold) => writeln!(
                text,
                "{threshold} is the lowest threshold that leaves {} tokens, each to be used {times}:\n  trommel dedup --from {} --threshold {threshold} OUTPUT",
                amount(self.needed),
                self.from
            ),
            None => writeln!(
                text,
                "no threshold leaves {} tokens, each to be used {times}: there are {} in all; use them more often (--epochs), or find more",
                amount(self.needed),
                short(self.all.tokens)
            ),
        };
        text
    }
}

fn loss_of(terms: &Terms, n: &str, d: &str) -> String {
    let Terms { e, a, alpha, b, beta } = terms;
    let [e, a, alpha, b, beta] = [e, a, alpha, b, beta].map(|number| figures(*number));
    format!("L = {e} + {a} / {n}^{alpha} + {b} / {d}^{beta}")
}

/// A constant as papers print it.
fn figures(number: f64) -> String {
    let text = if number >= 100.0 { format!("{number:.1}") } else { format!("{number:.3}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn source_of(terms: &Terms) -> &'static str {
    if *terms == Terms::HOFFMANN {
        "Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3"
    } else if *terms == Terms::MUENNIGHOFF {
        "fitted to C4 by Muennighoff et al. 2023 (arXiv 2305.16264), appendix A"
    } else {
        "as given with --terms"
    }
}

/// A large number in a few letters.
fn amount(n: f64) -> String {
    short(n.round() as u64)
}

fn scientific(n: f64) -> String {
    format!("{n:.2e}")
}

/// A number of epochs.
fn number(n: f64) -> String {
    let text = match n {
        ..0.1 => format!("{n:.2e}"),
        ..10.0 => format!("{n:.2}"),
        ..100.0 => format!("{n:.1}"),
        _ => format!("{n:.0}"),
    };
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Columns side by side, the notes to the left.
fn left(rows: &[[String; 3]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line = |[what, figure, note]: &[String; 3]| {
        format!("{what:<first$}  {figure:>second$}  {note}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A number above 0.
fn parse_positive(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("write a number above 0, like 4, 1.5 or 1e22".to_owned()),
    }
}

/// `N` numbers with commas between them.
fn parse_numbers<const N: usize>(text: &str) -> Result<[f64; N], String> {
    let numbers: Option<Vec<f64>> =
        text.split(',').map(|part| part.trim().parse::<f64>().ok().filter(|n| n.is_finite())).collect();
    let numbers = numbers.and_then(|numbers| <[f64; N]>::try_from(numbers).ok());
    numbers.ok_or_else(|| format!("write {N} numbers with commas between them, and no spaces"))
}
