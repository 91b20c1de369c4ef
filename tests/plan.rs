//! What `trommel plan` answers, as it is printed.

mod common;

use common::corpus;
use common::{Ran, Work};
use serde_json::Value;

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.ends_with(0).stdout).expect("JSON")
}

#[test]
fn a_model_is_told_its_tokens_and_the_laws_behind_them() {
    let work = Work::new();
    insta::assert_snapshot!(work.run("plan --params 7B").ends_with(0).stdout, @r"
    a compute-optimal model
      parameters   7.00 B
      tokens      148.5 B  21.2 for each parameter
      compute     6.24e21  FLOPs
      loss          2.178  if all tokens are different

    laws
      tokens    D = 17.9122 N^1.00745
                fitted to table 3 of Hoffmann et al. 2022 (arXiv 2203.15556): all rows within 3.8 %
      compute   C = 6 N D
                Kaplan et al. 2020 (arXiv 2001.08361), section 2.1
      loss      L = 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28
                Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3
    ");
}

#[test]
fn scarce_tokens_are_told_what_repeating_is_worth() {
    let work = Work::new();
    insta::assert_snapshot!(work.run("plan --params 7B --unique 30B").ends_with(0).stdout, @r"
    a compute-optimal model
      parameters   7.00 B
      tokens      148.5 B  21.2 for each parameter
      compute     6.24e21  FLOPs
      loss          2.216  if all tokens are different

    30.0 B tokens used again and again, by 7.00 B parameters
    epochs   tokens  worth in fresh ones     each  one more   loss
      1      30.0 B               30.0 B  100.0 %   100.0 %  2.361
      2      60.0 B               59.0 B   98.4 %    93.7 %  2.297
      4     120.0 B              111.8 B   93.1 %    82.3 %  2.249
    > 4.95  148.5 B              134.5 B   90.6 %    77.4 %  2.237
      8     240.0 B              198.7 B   82.8 %    63.5 %  2.214
      16    480.0 B              317.5 B   66.1 %    37.7 %  2.191
      40     1.20 T              455.0 B   37.9 %     7.9 %  2.175
    the plan takes 4.95 epochs, worth 134.5 B fresh tokens: 90.6 % of as many fresh ones
    one more token is worth half of a fresh one after 11.7 epochs, 1/e after 16.4; no number of epochs is worth more than 491.6 B

    laws
      tokens    D = 17.9122 N^1.00745
                fitted to table 3 of Hoffmann et al. 2022 (arXiv 2203.15556): all rows within 3.8 %
      compute   C = 6 N D
                Kaplan et al. 2020 (arXiv 2001.08361), section 2.1
      repeats   D' = U + U R* (1 - e^(-R/R*)), R = D/U - 1, R* = 15.387756
                Muennighoff et al. 2023 (arXiv 2305.16264), appendix A
      loss      L = 1.869 + 520.8 / N'^0.353 + 1487.7 / D'^0.353, N' likewise with R* = 5.309743
                fitted to C4 by Muennighoff et al. 2023 (arXiv 2305.16264), appendix A
    ");
}

#[test]
fn compute_is_split_where_tokens_are_scarce() {
    let work = Work::new();
    let plan = json(work.run("plan --flops 9.3e21 --unique 25B --json"));
    assert_eq!(plan["model"]["choice"], "least_loss");
    let params = plan["model"]["params"].as_f64().expect("a number");
    assert!((params / 6.815e9 - 1.0).abs() < 1e-3, "{params}");
}

#[test]
fn a_penalty_needs_its_constants_and_says_where_more_is_less() {
    let work = Work::new();
    work.run("plan --params 1B --unique 5B --law penalty").ends_with(1).says("--penalty P,DELTA,KAPPA");
    let page =
        work.run("plan --params 1B --tokens 200B --unique 5B --law penalty --penalty 0.02,1,1").ends_with(0).stdout;
    insta::assert_snapshot!(page, @r"
    a model as asked for
      parameters   1.00 B
      tokens      200.0 B  200.0 for each parameter
      optimal      20.9 B  tokens for so many parameters
      compute     1.20e21  FLOPs
      loss          2.325  if all tokens are different

    5.00 B tokens used again and again, by 1.00 B parameters
    epochs   tokens  worth in fresh ones     each  one more   loss
      1      5.00 B               5.00 B  100.0 %   100.0 %  2.834
      2      10.0 B               9.78 B   97.8 %    93.0 %  2.699
      4      20.0 B               18.5 B   92.4 %    80.7 %  2.592
      8      40.0 B               32.1 B   80.3 %    56.0 %  2.513
      16     80.0 B               46.4 B   58.0 %    18.5 %  2.468
      23    115.0 B               49.3 B   42.8 %     0.0 %  2.460
    > 40    200.0 B               41.4 B   20.7 %   -13.7 %  2.481
    the plan takes 40 epochs, worth 41.4 B fresh tokens: 20.7 % of as many fresh ones
    the loss is least after 23 epochs; more do harm

    laws
      tokens    D = 17.9122 N^1.00745
                fitted to table 3 of Hoffmann et al. 2022 (arXiv 2203.15556): all rows within 3.8 %
      compute   C = 6 N D
                Kaplan et al. 2020 (arXiv 2001.08361), section 2.1
      repeats   L = 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28 + 0.02 R^1 (N/U)^1
                the form of Lovelace et al. 2026 (arXiv 2605.01640), P, δ and κ as given with --penalty
                D' = what all fresh tokens would be for the same loss
                Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3
    ");
}

/// Hoffmann et al. 2022, table 3.
#[test]
fn published_models_are_told_their_published_tokens() {
    let work = Work::new();
    let rows = [
        ("400M", 8.0e9),
        ("1B", 20.2e9),
        ("10B", 205.1e9),
        ("67B", 1.5e12),
        ("175B", 3.7e12),
        ("280B", 5.9e12),
        ("520B", 11.0e12),
        ("1T", 21.2e12),
        ("10T", 216.2e12),
    ];
    for (params, tokens) in rows {
        let plan = json(work.run(&format!("plan --params {params} --json")));
        let told = plan["model"]["tokens"].as_f64().expect("a number");
        assert!((told / tokens - 1.0).abs() < 0.05, "{params}: {told} and not {tokens}");
        // And back.
        let plan = json(work.run(&format!("plan --tokens {} --json", told.round())));
        let back = plan["model"]["tokens_per_param"].as_f64().expect("a number")
            * plan["model"]["params"].as_f64().expect("a number");
        assert!((back / told - 1.0).abs() < 1e-6);
    }
}

#[test]
fn a_deduplicated_corpus_is_told_its_threshold() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(5, 600), 2, 100);
    work.run("dedup in out --floor 0.5").ends_with(0);
    let curve: Value = serde_json::from_str(&work.run("report out --curve --json").ends_with(0).stdout).expect("JSON");
    let points = curve["points"].as_array().expect("a list");
    let wanted = &points[4];
    let tokens = wanted["tokens"].as_u64().expect("a number");
    let plan = json(work.run(&format!("plan --params 1M --tokens {tokens} --from out --json")));
    assert_eq!(plan["thresholds"]["chosen"], wanted["threshold"], "the lowest that leaves as many");
    assert_eq!(plan["thresholds"]["rows"].as_array().map(Vec::len), Some(points.len()));
    // Used four times each, a quarter of them will do.
    let plan = json(work.run(&format!("plan --params 1M --tokens {tokens} --from out --epochs 4 --json")));
    assert_eq!(plan["thresholds"]["chosen"], points[0]["threshold"]);
    let ran = work.run(&format!("plan --params 1M --tokens {tokens} --from out")).ends_with(0);
    let command = format!("trommel dedup --from out --threshold {} OUTPUT", wanted["threshold"]);
    assert!(ran.stdout.contains(&command), "{ran}");
    let ran = work.run("plan --params 1M --tokens 1B --from out").ends_with(0);
    assert!(ran.stdout.contains("no threshold leaves 1.00 B tokens"), "{ran}");
    work.run("plan --params 1M --from in").ends_with(1).says("there is no run");
    work.run("dedup in plain").ends_with(0);
    work.run("plan --params 1M --from plain").ends_with(1).says("has no pairs on record");
}

#[test]
fn nonsense_is_refused() {
    let work = Work::new();
    let check = |arguments: &str, message: &str| drop(work.run(arguments).ends_with(1).says(message));
    check("plan", "name what is known");
    check("plan --params 1B --tokens 1B --flops 1e20", "leave one out");
    check("plan --flops 3", "makes no model");
    check("plan --params 1B --penalty 1,1,1", "--penalty is of --law penalty");
    check("plan --params 1B --law penalty --penalty 1,1", "write 3 numbers");
    check("plan --params 1B --law penalty --penalty 1,0,1", "DELTA is above 0");
    check("plan --params 1B --terms 1,2,3,4,-5", "above 0");
    check("plan --params 1B --r-star 0", "write a number above 0");
    check("plan --params 1Q", "no unit");
}
