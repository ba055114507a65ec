//! From contributions to advice: the shipped playbooks name what they should, never what the signs contradict, and
//! never say a sentence that rests on nothing. Broken playbooks are refused with a clear error.

use std::collections::BTreeSet;

use wheeltapper::acquisition::Name;
use wheeltapper::advisory::{
    Defect, Library, LockoutFacts, MachineFacts, Playbook, PlaybookError, PlaybookFile, Recommendation, Rule,
};
use wheeltapper::assessment::{Diagnosis, Signature, diagnose};
use wheeltapper::detection::{Contribution, Direction};

use Direction::{High, Low, Neither};

#[test]
fn the_golden_signs_pick_each_shipped_playbook() {
    for (fault, signs) in golden() {
        let recommendation = advise(&signs);
        assert_eq!(recommendation.playbook, fault, "{}", recommendation.text);
    }
    let covered: BTreeSet<&str> = golden().into_iter().map(|(fault, _)| fault).collect();
    let library = Library::shipped();
    let shipped: BTreeSet<&str> = library.playbooks().iter().map(Playbook::name).collect();
    assert_eq!(covered, shipped);
}

#[test]
fn a_reversed_sign_of_a_required_channel_never_names_the_fault() {
    for (fault, signs) in golden() {
        let required = required_channels(fault);
        for (n, sign) in signs.iter().enumerate().filter(|(_, sign)| required.contains(sign.0)) {
            let mut reversed = signs.clone();
            reversed[n].2 = match sign.2 {
                Low | Neither => High,
                High => Low,
            };
            let diagnosis = diagnose(&Library::shipped().symptoms(Some("hydraulic")), &contributions(&reversed));
            assert!(diagnosis.faults.iter().all(|named| named.fault != fault), "{fault}: {diagnosis:?}");
        }
    }
}

#[test]
fn faults_that_look_alike_are_both_named_in_the_text() {
    let text = advise(&[("FS1", 0.6, Neither), ("SE", 0.4, Neither)]).text;
    assert!(text.contains("gas loss of an accumulator"), "{text}");
    assert!(text.contains("lagging of the main valve"), "{text}");
}

#[test]
fn every_shipped_fault_has_a_sign_table_entry_unless_it_is_the_last_resort() {
    let table = Library::shipped().symptoms(Some("hydraulic"));
    assert_eq!(table.faults.len(), Library::shipped().playbooks().len() - 1);
    let foreign = Library::shipped().symptoms(None);
    assert!(foreign.faults.iter().all(|fault| fault.fault.starts_with("generic/")));
}

#[test]
fn each_sentence_of_each_text_names_a_source_that_is_there() {
    for recommendation in every_recommendation() {
        let ids: BTreeSet<&str> = recommendation.sources.iter().map(|source| source.id.as_str()).collect();
        assert_eq!(ids.len(), recommendation.sources.len(), "an id stands twice");
        assert!(recommendation.text.ends_with("]."), "{}", recommendation.text);
        for sentence in recommendation.text.split_inclusive("]. ").map(str::trim_end) {
            let (_, marks) = sentence.split_once(" [").expect("marks stand after a space");
            for mark in marks.trim_end_matches("].").split("][") {
                assert!(ids.contains(mark), "`{mark}` of {sentence:?} is not in {ids:?}");
            }
        }
        for (n, step) in (1..).zip(&recommendation.steps) {
            assert_eq!(step.n, n);
            assert!(!step.sources.is_empty(), "{step:?}");
            assert!(step.sources.iter().all(|id| ids.contains(id.as_str())), "{step:?}");
        }
    }
}

#[test]
fn each_source_in_the_alarm_leads_to_a_place_of_the_payload() {
    for (_, signs) in golden() {
        let recommendation = advise(&signs);
        let count = signs.len();
        for source in recommendation.sources.iter().filter(|source| source.title == "This alarm") {
            let pointer = source.section.strip_prefix("payload:").expect("a payload pointer");
            let leads = match pointer.strip_prefix("/contributions/") {
                Some(n) => n.parse::<usize>().expect("an index") < count,
                None => ["/contributions", "/diagnosis", "/score", "/limit", "/machine"].contains(&pointer),
            };
            assert!(leads, "{pointer}");
        }
    }
}

#[test]
fn what_is_seen_what_it_probably_is_and_the_first_check_fit_a_phone() {
    for (fault, signs) in golden() {
        let text = advise(&signs).text;
        let check = text.find("First check: ").unwrap_or_else(|| panic!("{fault} has no first check: {text}"));
        let end = check + text[check..].find("].").expect("the check has its marks") + 2;
        assert!(text[..end].chars().count() <= 400, "{fault}: {} characters", text[..end].chars().count());
    }
}

#[test]
fn a_value_is_told_with_what_was_expected_and_its_unit() {
    let text = advise(&[("FS1", 0.6, Low), ("SE", 0.4, Low)]).text;
    assert!(text.starts_with("Volume flow FS1 is low: 6.42 l/min, expected 6.71 l/min [d1]."), "{text}");
    assert!(text.contains("Probable cause: internal leakage of the main pump ("), "{text}");
}

#[test]
fn lockout_comes_before_the_first_intrusive_step_or_the_step_is_left_out_with_its_reason() {
    let signs = [("FS1", 0.6, Low), ("SE", 0.4, Low)];
    let with = advise(&signs);
    let place = |what: &str| with.steps.iter().position(|step| step.text.contains(what)).expect("the step is there");
    assert!(place("Tell the people affected") < place("Verify isolation"));
    assert!(place("Verify isolation") < place("Open the pump"));
    assert!(place("Open the pump") < place("Before you switch the energy on again"));
    assert!(with.steps.iter().any(|step| step.text.contains("main switch Q1, valve V3")));
    assert!(!with.text.contains("left out"));

    let without = recommend(&signs, &MachineFacts::new(name("press-01"))).expect("advice");
    assert!(without.steps.iter().all(|step| !step.text.contains("Open the pump") && !step.text.contains("lock")));
    assert!(without.text.ends_with("left out because its lockout is not on record [c1]."), "{}", without.text);
}

#[test]
fn a_part_number_comes_from_the_machine_or_is_not_there() {
    let parts = advise(&[("FS1", 0.6, Low), ("SE", 0.4, Low)]).parts;
    assert_eq!(parts[0].number.as_deref(), Some("A10-4711"));
    assert_eq!(parts[1].number, None);
}

#[test]
fn names_from_the_outside_stay_plain_data() {
    let hostile = "x [s1]. {{ machine }} <b>Ignore the lockout</b>".replace('/', "|");
    let seen = [contribution(&hostile, 1.0, High, (f64::NAN, 2.0))];
    let facts = MachineFacts::new(name(&hostile));
    let recommendation =
        Library::shipped().recommend(&Diagnosis::default(), &facts, &seen, 2.0).expect("the generic playbook");
    let text = &recommendation.text;
    assert_eq!(recommendation.playbook, "generic/unknown");
    assert!(text.starts_with("\"x (s1). {{ machine }} <b>Ignore the"), "{text}");
    assert!(!text.contains("NaN"), "{text}");
}

#[test]
fn without_a_blamed_channel_there_is_no_advice() {
    let facts = MachineFacts::new(name("press-01"));
    assert_eq!(Library::shipped().recommend(&Diagnosis::default(), &facts, &[], 3.0), None);
}

#[test]
fn the_same_alarm_gives_the_same_advice() {
    for (_, signs) in golden() {
        assert_eq!(advise(&signs), advise(&signs));
    }
}

#[test]
fn each_defect_of_a_playbook_is_told_with_file_line_and_remedy() {
    sound(BASE).expect("the base of all defects is sound");
    for (what, from, to, kind) in defects() {
        assert!(BASE.contains(from), "{what}: the base has no {from:?}");
        let error = sound(&BASE.replacen(from, to, 1)).expect_err(what);
        assert_eq!(error.kind, kind, "{what}: {error}");
        assert!(error.line.is_some() && !error.remedy.is_empty(), "{what}: {error}");
        assert!(error.to_string().starts_with("playbooks/mill/jam.toml:"), "{what}: {error}");
    }
}

#[test]
fn the_error_stands_on_the_line_of_the_defect_and_names_the_nearest_key() {
    let error = sound(&BASE.replacen("weight = 2.0", "weigth = 2.0", 1)).expect_err("the key is unknown");
    let line = 1 + BASE.lines().position(|line| line == "weight = 2.0").expect("the base has it");
    assert_eq!(error.line, Some(line));
    assert_eq!(
        error.to_string(),
        format!(
            "playbooks/mill/jam.toml:{line}: found key `weigth` in [[trigger]]; expected one of channel, direction, \
             weight, required; did you mean `weight`?"
        )
    );
}

#[test]
fn a_lockout_file_without_all_steps_in_order_is_refused() {
    let swapped = LOCKOUT.replacen("id = \"L3\"", "id = \"L4\"", 1);
    let short = LOCKOUT.split("[[step]]\nid = \"L8\"").next().expect("the part before").to_owned();
    for text in [swapped, short] {
        let errors = library(&[("playbooks/lockout.toml", &text)]).expect_err("lockout is not whole");
        assert!(errors[0].breaks(Rule::K008), "{}", errors[0]);
    }
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let unknown = include_str!("../firmware-config/playbooks/generic/unknown.toml");
    let whole = [("lockout.toml", LOCKOUT), ("generic/unknown.toml", unknown), ("playbooks/mill/jam.toml", BASE)];
    library(&whole).expect("these three are a library");
    let dangling = BASE.replacen("urgency = \"8h\"", "urgency = \"8h\"\nlooks_like = [\"mill/none\"]", 1);
    let broken: [&[(&str, &str)]; 5] = [
        &whole[..2].repeat(2),
        &whole[1..],
        &[whole[0], whole[2]],
        &[whole[0], whole[1], whole[2], whole[2]],
        &[whole[0], whole[1], ("playbooks/mill/jam.toml", &dangling)],
    ];
    for files in broken {
        let errors = library(files).expect_err("they do not fit");
        assert!(errors.iter().all(|error| error.kind == Defect::Library), "{errors:?}");
    }
}

/// What is found, the part of [`BASE`] that is replaced, what by, and the defect that it must be.
fn defects() -> Vec<(&'static str, &'static str, &'static str, Defect)> {
    let rule = Defect::Rule;
    vec![
        ("no TOML", "format = 1", "format = ", Defect::Syntax),
        ("a key twice", "format = 1", "format = 1\nformat = 1", Defect::Syntax),
        ("a key that nobody reads", "urgency", "urgancy", Defect::UnknownKey),
        ("no version", "version = \"1.0.0\"\n", "", Defect::MissingKey),
        ("no observation", "place = \"observation\"", "place = \"background\"", Defect::MissingKey),
        ("a text for a number", "weight = 2.0", "weight = \"2.0\"", Defect::WrongType),
        ("a table for an array", "[[part]]", "[part]", Defect::WrongType),
        ("another format", "format = 1", "format = 2", Defect::WrongValue),
        ("a time without a unit", "urgency = \"8h\"", "urgency = \"8\"", Defect::WrongValue),
        ("a direction that is none", "direction = \"low\"", "direction = \"down\"", Defect::WrongValue),
        ("a weight below zero", "weight = 2.0", "weight = -2.0", Defect::WrongValue),
        ("a weight that is no number", "weight = 2.0", "weight = nan", Defect::WrongValue),
        ("a class that is none", "class = \"operate\"", "class = \"hit\"", Defect::WrongValue),
        ("a channel that is no name", "channel = \"FS1\"", "channel = \"a/b\"", Defect::WrongValue),
        ("a pointer to nowhere", "payload:/diagnosis", "payload:/secrets", Defect::WrongValue),
        ("another path", "name = \"mill/jam\"", "name = \"mill/stuck\"", Defect::WrongValue),
        ("marks in the text", "A jam lowers the flow.", "A jam [s9] lowers the flow.", Defect::WrongValue),
        ("a fact without sources", "sources = [\"s1\"]", "sources = []", rule(Rule::K001)),
        ("a fact that rests on the alarm", "[\"s1\"]", "[\"payload:/score\"]", rule(Rule::K001)),
        ("data that rests on a book", "[\"payload:/diagnosis\"]", "[\"s1\"]", rule(Rule::K001)),
        ("a source that is not defined", "sources = [\"s1\"]", "sources = [\"s7\"]", rule(Rule::K002)),
        ("a source that nobody names", "id = \"s2\"", "id = \"s5\"", rule(Rule::K002)),
        ("a changed excerpt", "excerpt = \"Do not", "excerpt = \"Do", rule(Rule::K003)),
        ("a changed hash", "excerpt_sha256 = \"1469", "excerpt_sha256 = \"2469", rule(Rule::K003)),
        ("neither quoted nor cited", "cite_only = true\n", "", rule(Rule::K003)),
        ("a quotation from a standard", "title = \"UFC", "title = \"ISO 17359", rule(Rule::K004)),
        ("a quotation of what is cited", "rights = \"us-gov\"", "rights = \"cite-only\"", rule(Rule::K004)),
        ("two sentences", "A jam lowers the flow.", "A jam lowers the flow. It is loud.", rule(Rule::K007)),
        ("no full stop", "A jam lowers the flow.", "A jam lowers the flow", rule(Rule::K007)),
        ("no lockout", "requires = [\"lockout\"]\n", "", rule(Rule::K008)),
        ("a promise", "A jam lowers the flow.", "A jam always lowers the flow.", rule(Rule::K009)),
        ("a protection defeated", "Open the mill.", "Bypass the guard, then open the mill.", rule(Rule::K009)),
        ("an undefined variable", "{{ c.FS1.seen }}", "{{ flow }}", rule(Rule::K010)),
        ("a channel that may be missing", "payload:/contributions/{FS1}", "payload:/contributions", rule(Rule::K010)),
        ("a value that may be missing", "{{ c.FS1.seen }}", "{{ c.FS1.value }}", rule(Rule::K010)),
        ("a filter", "{{ c.FS1.seen }}", "{{ c.FS1.seen|upper }}", rule(Rule::K010)),
        ("a template that is none", "{{ c.FS1.seen }}", "{{ c.FS1.seen }", rule(Rule::K010)),
        (
            "a template that does not end in time",
            "{{ c.FS1.seen }}",
            "{% for a in c %}{% for b in c.FS1.seen %}{% for d in c.FS1.seen %}{% for e in c.FS1.seen %}{{ e }}\
             {% endfor %}{% endfor %}{% endfor %}{% endfor %}",
            rule(Rule::K010),
        ),
        ("no observation first", "class = \"observe\"", "class = \"operate\"", rule(Rule::K012)),
        ("a part number", "quantity = 1", "quantity = 1\nnumber = \"4711\"", rule(Rule::K020)),
        ("a part number in the name", "Shear pin", "Shear pin 08-4711", rule(Rule::K020)),
    ]
}

const BASE: &str = r#"format = 1
name = "mill/jam"
version = "1.0.0"
title = "jammed mill"
urgency = "8h"

[[trigger]]
channel = "FS1"
direction = "low"
weight = 2.0
required = true

[[statement]]
place = "observation"
kind = "data"
text = "Flow {{ c.FS1.seen }}."
sources = ["payload:/contributions/{FS1}"]

[[statement]]
place = "cause"
kind = "data"
text = "Probable cause: {{ probable }}."
sources = ["payload:/diagnosis"]

[[statement]]
place = "background"
kind = "fact"
text = "A jam lowers the flow."
sources = ["s1"]

[[step]]
class = "observe"
text = "Listen at the mill."
sources = ["s1"]
duration = "5m"

[[step]]
class = "operate"
text = "Run the mill empty."
sources = ["s2"]
duration = "5m"

[[step]]
class = "open"
requires = ["lockout"]
text = "Open the mill."
sources = ["s2"]
duration = "1h"

[[part]]
id = "pin"
name = "Shear pin"
quantity = 1

[[source]]
id = "s1"
title = "UFC 3-230-02"
section = "6.4.2.2"
rights = "us-gov"
excerpt = "Do not throttle the suction of a centrifugal pump."
excerpt_sha256 = "1469a7205a6aa9d1efc1f178c3d5fd110f9f900171b99b66fc9169b425ff166c"

[[source]]
id = "s2"
title = "UFC 3-230-02"
section = "6.5"
rights = "us-gov"
cite_only = true
"#;

const LOCKOUT: &str = include_str!("../firmware-config/playbooks/lockout.toml");

type Sign = (&'static str, f64, Direction);

/// Signs that a fault shows, as measured on the rig.
fn golden() -> Vec<(&'static str, Vec<Sign>)> {
    vec![
        ("hydraulic/internal_pump_leakage", vec![("FS1", 0.55, Low), ("SE", 0.4, Low), ("VS1", 0.05, High)]),
        (
            "hydraulic/cooler_degradation",
            vec![
                ("TS4", 0.2, High),
                ("CE", 0.18, Low),
                ("FS2", 0.15, Low),
                ("TS3", 0.12, High),
                ("TS2", 0.11, High),
                ("TS1", 0.1, High),
                ("CP", 0.08, Low),
                ("VS1", 0.03, High),
                ("SE", 0.02, High),
                ("FS1", 0.01, Low),
            ],
        ),
        // One watch over a load cycle tells these two apart, signs alone do not: see the next entry.
        ("hydraulic/valve_switching_lag", vec![("FS1", 0.6, Neither), ("SE", 0.4, Low)]),
        ("hydraulic/accumulator_gas_leakage", vec![("FS1", 0.6, Neither), ("SE", 0.4, Neither)]),
        (
            "generic/sensor_fault",
            vec![("TS2", 0.98, High), ("TS1", 0.01, Low), ("FS1", 0.005, Low), ("SE", 0.005, High)],
        ),
        ("generic/unknown", vec![("TS1", 0.5, Low), ("VS1", 0.5, Low)]),
    ]
}

fn required_channels(fault: &str) -> BTreeSet<String> {
    let table = Library::shipped().symptoms(Some("hydraulic"));
    table
        .faults
        .iter()
        .filter(|known| known.fault == fault)
        .filter_map(|known| match &known.signature {
            Signature::Channels(symptoms) => Some(symptoms),
            Signature::OneChannel { .. } => None,
        })
        .flatten()
        .filter(|symptom| symptom.required)
        .map(|symptom| symptom.channel.as_str().to_owned())
        .collect()
}

/// Every golden case, with lockout on record and without, with values and without.
fn every_recommendation() -> Vec<Recommendation> {
    let mut all = Vec::new();
    for (_, signs) in golden() {
        for facts in [recorded(), MachineFacts::new(name("m 1"))] {
            all.push(recommend(&signs, &facts).expect("a channel is blamed"));
            let mut bare = contributions(&signs);
            for contribution in &mut bare {
                (contribution.value, contribution.expected, contribution.unit) = (None, None, None);
            }
            let library = Library::shipped();
            let diagnosis = diagnose(&library.symptoms(Some("hydraulic")), &bare);
            all.extend(library.recommend(&diagnosis, &facts, &bare, f64::NAN));
        }
    }
    all
}

fn advise(signs: &[Sign]) -> Recommendation {
    recommend(signs, &recorded()).expect("a channel is blamed")
}

fn recommend(signs: &[Sign], facts: &MachineFacts) -> Option<Recommendation> {
    let library = Library::shipped();
    let seen = contributions(signs);
    let diagnosis = diagnose(&library.symptoms(Some("hydraulic")), &seen);
    library.recommend(&diagnosis, facts, &seen, 1.7)
}

fn contributions(signs: &[Sign]) -> Vec<Contribution> {
    signs
        .iter()
        .map(|(channel, share, direction)| contribution(channel, *share, *direction, (6.4183, 6.7071)))
        .collect()
}

fn contribution(channel: &str, share: f64, direction: Direction, (value, expected): (f64, f64)) -> Contribution {
    Contribution {
        channel: name(channel),
        share,
        direction,
        value: Some(value),
        expected: Some(expected),
        unit: Some("l/min".to_owned()),
    }
}

fn recorded() -> MachineFacts {
    let mut facts = MachineFacts::new(name("press-01"));
    facts.lockout = Some(LockoutFacts {
        procedure: "LOTO-17".to_owned(),
        isolation_points: "main switch Q1, valve V3".to_owned(),
        stored_energy: "accumulator pressure".to_owned(),
    });
    facts.parts.insert("pump_seal_kit".to_owned(), "A10-4711".to_owned());
    facts
}

fn sound(text: &str) -> Result<Playbook, PlaybookError> {
    Playbook::parse(text, "playbooks/mill/jam.toml")
}

fn library(files: &[(&str, &str)]) -> Result<Library, Vec<PlaybookError>> {
    Library::from_files(files.iter().map(|(origin, text)| PlaybookFile { origin, text }))
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name of this test")
}
