//! `inject` puts labelled anomalies into any recording and passes everything else on byte for byte.

mod support {
    pub mod binary;
    pub mod made_up;
}

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use serde_json::Value;

use support::binary::{Told, wheeltapper};
use support::made_up::{MadeUp, Notation, USUAL};

#[test]
fn only_the_cells_of_an_event_change_however_the_recording_is_written_down() {
    let made_up = MadeUp::new(3, SignedDuration::from_secs(1), 300);
    for notation in [USUAL, Notation { separator: ';', decimal: ',' }, Notation { separator: '\t', decimal: '.' }] {
        // A column of words, quotes, another end of line: none of it is anybody's business here.
        let words = |(row, line): (usize, &str)| match row {
            0 => format!("{line}{0}state", notation.separator),
            row => format!("{line}{}\"phase \"\"{row}\"\"\"", notation.separator),
        };
        let text = made_up.text(notation).lines().enumerate().map(words).collect::<Vec<_>>().join("\r\n") + "\r\n";
        for packed in [false, true] {
            let folder = Folder::new();
            let input = folder.input(&text, packed);
            folder.succeeds(&input, &["--event", "kind=mean,channel=ch02,from=101,to=120,size=5"]);
            let out = folder.out();
            let (before, after) = (lines(&text), lines(&out));
            assert_eq!(before.len(), after.len());
            for (row, (before, after)) in before.iter().zip(&after).enumerate() {
                if !(101..=120).contains(&row) {
                    assert_eq!(before, after, "row {row}");
                    continue;
                }
                let [before, after] = [before, after].map(|line| line.split(notation.separator).collect::<Vec<_>>());
                let changed: Vec<usize> = (0..before.len()).filter(|&cell| before[cell] != after[cell]).collect();
                assert_eq!(changed, [2], "row {row}: {after:?}");
                assert!(after[2].contains(notation.decimal), "{after:?}");
            }
        }
    }
}

#[test]
fn overlapping_events_keep_labels_of_their_own() {
    let folder = Folder::new();
    let input = folder.made_up();
    folder.succeeds(
        &input,
        &[
            "--event",
            "kind=mean,channel=ch01,from=100,to=149",
            "--event",
            "kind=variance,channel=ch01,from=130,to=180",
            "--event",
            "kind=stuck,channel=ch02,channel=ch03,from=140,to=140",
            "--label-column",
            "anomaly",
            "--event-column",
            "ids",
        ],
    );
    let events = folder.events();
    let spans: Vec<[&str; 5]> = events.iter().map(|event| [0, 1, 2, 3, 4].map(|cell| event[cell].as_str())).collect();
    assert_eq!(
        spans,
        [
            ["1", "mean", "ch01", "100", "149"],
            ["2", "variance", "ch01", "130", "180"],
            ["3", "stuck", "ch02;ch03", "140", "140"]
        ]
    );
    assert_eq!(events[0][5..7], ["2026-03-01T00:01:39Z", "2026-03-01T00:02:28Z"]);
    let out = folder.out();
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][4..], ["anomaly", "ids"]);
    for (row, expected) in
        [(99, ["0", ""]), (100, ["1", "1"]), (130, ["1", "1;2"]), (140, ["1", "1;2;3"]), (181, ["0", ""])]
    {
        assert_eq!(rows[row][4..], expected, "row {row}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let written = |seed: &str| {
        let folder = Folder::new();
        let input = folder.made_up();
        let arguments = [
            "--random",
            "6",
            "--skip",
            "100",
            "--lengths",
            "10..20",
            "--distance",
            "5",
            "--seed",
            seed,
            "--transport",
            "fault=loss,probability=0.05,burst=3",
        ];
        folder.succeeds(&input, &arguments);
        (folder.out(), fs::read_to_string(folder.path("events.csv")).unwrap())
    };
    assert_eq!(written("4"), written("4"));
    assert_ne!(written("4"), written("5"));
}

#[test]
fn a_plan_says_the_same_as_the_command_line() {
    let by_line = Folder::new();
    let input = by_line.made_up();
    by_line.succeeds(
        &input,
        &[
            "--event",
            "kind=drift,channel=ch01,from=2m,length=30s",
            "--transport",
            "fault=duplicate,probability=0.1",
            "--seed",
            "3",
        ],
    );
    let by_plan = Folder::new();
    let input = by_plan.made_up();
    let plan = by_plan.path("plan.toml");
    let text = "seed = 3\n[[event]]\nkind = \"drift\"\nchannel = \"ch01\"\nfrom = \"2m\"\nlength = \"30s\"\n\
                [[transport]]\nfault = \"duplicate\"\nprobability = 0.1\n";
    fs::write(&plan, text).unwrap();
    by_plan.succeeds(&input, &["--plan", plan.to_str().unwrap()]);
    assert_eq!(by_line.out(), by_plan.out());
    assert_eq!(by_line.events(), by_plan.events());
}

#[test]
fn rows_that_transport_loses_or_doubles_are_labelled_by_where_they_are_missed_or_seen() {
    let folder = Folder::new();
    let input = folder.made_up();
    let text = fs::read_to_string(&input).unwrap();
    folder.succeeds(
        &input,
        &[
            "--transport",
            "fault=gap,probability=0.01,burst=4",
            "--transport",
            "fault=duplicate,probability=0.02,burst=2",
            "--seed",
            "2",
        ],
    );
    let (before, out) = (lines(&text), folder.out());
    let after = lines(&out);
    let (mut gaps, mut doubles) = (0, 0);
    let number = |event: &[String], cell: usize| event[cell].parse::<usize>().unwrap();
    for event in folder.events() {
        let (first, last) = (number(&event, 3), number(&event, 4));
        let (from, to) = (number(&event, 11), number(&event, 12));
        match event[1].as_str() {
            "gap" => {
                gaps += 1;
                assert!(before[from..=to].iter().all(|line| !after.contains(line)));
                assert_eq!(after[first], before[to + 1]);
            }
            "duplicate" => {
                doubles += 1;
                assert!(after[first - 1..=last].iter().all(|line| line == &before[from]), "{event:?}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(gaps > 0 && doubles > 0, "{gaps} {doubles}");
}

#[test]
fn a_fault_of_transport_that_is_given_rows_and_no_probability_is_certain_there() {
    let folder = Folder::new();
    let input = folder.made_up();
    let text = fs::read_to_string(&input).unwrap();
    folder.succeeds(&input, &["--transport", "fault=gap,from=100,to=120"]);
    let out = folder.out();
    assert_eq!([&lines(&text)[..100], &lines(&text)[121..]].concat(), lines(&out));
    let gap = &folder.events()[0];
    assert_eq!([&gap[3], &gap[4], &gap[11], &gap[12]], ["100", "100", "100", "120"]);
}

#[test]
fn anomalies_at_random_fit_into_a_short_recording_too() {
    let folder = Folder::new();
    let input = folder.input(&MadeUp::new(3, SignedDuration::from_secs(1), 60).text(USUAL), false);
    folder.succeeds(&input, &["--random", "5", "--skip", "10"]);
    let rows: Vec<usize> =
        folder.events().iter().flat_map(|event| [event[3].parse(), event[4].parse()]).flatten().collect();
    assert!(rows.len() == 10 && rows[0] > 10 && rows.is_sorted(), "{rows:?}");
}

#[test]
fn an_anomaly_keeps_its_label_when_rows_before_it_are_lost() {
    let folder = Folder::new();
    let input = folder.made_up();
    folder.succeeds(
        &input,
        &[
            "--event",
            "kind=platform,channel=ch01,from=201,to=220,size=99,unit=own",
            "--transport",
            "fault=loss,probability=0.2,burst=2",
        ],
    );
    let out = folder.out();
    let there: Vec<usize> =
        (0..).zip(out.lines()).filter(|(_, line)| line.contains(",99.0000,")).map(|it| it.0).collect();
    let label = &folder.events()[0];
    assert_eq!([&label[3], &label[4]], [&there[0].to_string(), &there[there.len() - 1].to_string()]);
    assert!(there[0] < 201);
}

#[test]
fn a_skewed_clock_is_written_as_the_recording_writes_its_times() {
    let folder = Folder::new();
    let input = folder.input("date;a\n01.03.2026 10:00:00;1\n01.03.2026 10:00:01;2\n01.03.2026 10:00:02;3\n", false);
    folder.succeeds(&input, &["--event", "kind=clock-skew,from=2,to=3,size=60"]);
    assert_eq!(folder.out(), "date;a\n01.03.2026 10:00:00;1\n01.03.2026 10:00:31;2\n01.03.2026 10:01:02;3\n");
}

#[test]
fn one_column_without_header_or_time_can_be_injected_and_labelled() {
    let folder = Folder::new();
    let input = folder.input("1.5\n2.5\n3.5\n2.5\n", false);
    folder.succeeds(&input, &["--event", "kind=dropout,channel=column 1,from=2,to=2", "--label-column", "l"]);
    assert_eq!(folder.out(), "1.5,0\n,1\n3.5,0\n2.5,0\n");
}

#[test]
fn constraints_are_counted_before_and_after_and_repair_keeps_them() {
    let json = |repair: &str| {
        let folder = Folder::new();
        let input = folder.made_up();
        let constraints = folder.path("constraints.toml");
        fs::write(
            &constraints,
            "[[range]]\nchannel = \"ch01\"\nhigh = 9.0\n[[rate]]\nchannel = \"ch01\"\nmost = 6.0\n",
        )
        .unwrap();
        let told = folder.succeeds(
            &input,
            &[
                "--event",
                "kind=mean,channel=ch01,from=200,to=219,size=10,unit=own",
                "--constraints",
                constraints.to_str().unwrap(),
                "--repair",
                repair,
                "--json",
            ],
        );
        serde_json::from_str::<Value>(&told.out).unwrap()
    };
    let counts = |summary: &Value| {
        let of = |rule: usize| {
            ["recorded", "injected", "repaired"].map(|key| summary["constraints"][rule][key].as_u64().unwrap())
        };
        [of(0), of(1)]
    };
    assert_eq!(counts(&json("none")), [[0, 20, 20], [0, 2, 2]]);
    let clamped = json("clamp");
    assert_eq!(counts(&clamped), [[0, 20, 0], [0, 2, 0]]);
    assert_eq!(clamped["clamped"], 20);
    let rejected = json("reject");
    assert_eq!(counts(&rejected), [[0, 20, 0], [0, 2, 0]]);
    assert_eq!((&rejected["rejected"], rejected["events"].as_array().unwrap().len()), (&serde_json::json!([1]), 0));
}

#[test]
fn whatever_is_asked_wrongly_is_answered_with_what_was_found_and_expected() {
    let folder = Folder::new();
    let input = folder.made_up();
    for (arguments, code, expected) in [
        (&[][..], 2, "there is nothing to inject; expected --event, --random, --transport or --plan"),
        (&["--event", "kind=stuk,channel=ch01,from=1,to=2"], 2, "did you mean `stuck`?"),
        (&["--event", "kind=mean,channel=ch9,from=1,to=2"], 2, "event 1: there is no channel \"ch9\" among"),
        (&["--event", "kind=mean,channel=ch01,from=1,to=4000"], 2, "to is row 4000; the recording has rows 1 to 300"),
        (&["--random", "50", "--lengths", "20..30"], 2, "events find room in 300 rows; give fewer"),
        (&["--random", "1", "--kinds", "mena"], 2, "expected one of amplitude, extremum"),
        (&["--random", "1", "--lengths", "9"], 2, "\"9\" is no range of rows; expected e.g. 30..120"),
        (&["--random", "1", "--lengths", "1..900"], 2, "lengths are 1 to 900 rows"),
        (&["--random", "1", "--label-column", "ch01"], 2, "the recording has a column of that name"),
        (&["--random", "1", "--repair", "clamp"], 2, "--repair has nothing to go by"),
        (&["--random", "1", "--repair", "mend"], 2, "expected none, clamp or reject"),
        (&["--random", "1", "--kind", "hydraulic"], 2, "--kind \"hydraulic\": expected one of"),
        (
            &["--transport", "fault=loss,probability=2"],
            2,
            "transport 1: probability is 2; expected a share from 0 to 1",
        ),
        (&["--transport", "fault=gap"], 2, "transport 1: there is no probability; expected one, e.g. probability=0.01"),
        (&["--transport", "fault=duplicate,probability=1,burst=100000"], 2, "with so many duplicates"),
        (&["--random", "1", "--ignore", "ch1"], 2, "there is no column \"ch1\""),
        (&["--plan", "no/such.toml"], 1, "no/such.toml: No such file"),
    ] {
        let told = folder.inject(&input, arguments);
        assert_eq!(told.code, code, "{arguments:?}: {}", told.err);
        assert!(told.err.contains(expected), "{arguments:?}: {}", told.err);
        assert!(
            code != 2 || told.err.contains("wheeltapper inject pump.csv") || told.err.contains("--help"),
            "{}",
            told.err
        );
    }
    let plan = folder.path("plan.toml");
    fs::write(&plan, "[[event]]\nkind = \"mean\"\nchanel = \"ch01\"\n").unwrap();
    let told = folder.inject(&input, &["--plan", plan.to_str().unwrap()]);
    assert!(
        told.code == 78 && told.err.contains("plan.toml, line 3") && told.err.contains("`channel`?"),
        "{}",
        told.err
    );
}

#[test]
fn a_recording_that_cannot_be_read_is_an_error_and_the_recording_itself_is_never_overwritten() {
    let folder = Folder::new();
    for (content, expected) in
        [("", "there is no row in it"), ("a,b\nx,y\n", "no column of numbers"), ("a,b\n", "there is no row in it")]
    {
        let told = folder.inject(&folder.input(content, false), &["--random", "1"]);
        assert!(told.code == 1 && told.err.contains(expected), "{content:?}: {}", told.err);
    }
    let input = folder.made_up();
    let [input, events] = [input, folder.path("events.csv")].map(|path| path.display().to_string());
    let told = wheeltapper(["inject", &input, "--out", &input, "--events", &events, "--random", "1"]);
    assert!(told.code == 2 && told.err.contains("is the same file as IN"), "{}", told.err);
}

/// A folder with a recording and what `inject` makes of it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn input(&self, text: &str, packed: bool) -> PathBuf {
        let path = self.path("recording.csv");
        let mut file = fs::File::create(&path).expect("the test's folder can be written");
        match packed {
            true => {
                let mut packed = GzEncoder::new(file, flate2::Compression::fast());
                packed.write_all(text.as_bytes()).and_then(|()| packed.try_finish()).expect("it can be written");
            }
            false => file.write_all(text.as_bytes()).expect("it can be written"),
        }
        path
    }

    fn made_up(&self) -> PathBuf {
        self.input(&MadeUp::new(3, SignedDuration::from_secs(1), 300).text(USUAL), false)
    }

    fn inject(&self, input: &Path, arguments: &[&str]) -> Told {
        let [out, events] = ["out.csv.gz", "events.csv"].map(|name| self.path(name).display().to_string());
        let fixed = ["inject", &input.display().to_string(), "--out", &out, "--events", &events].map(str::to_owned);
        wheeltapper(fixed.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned())))
    }

    fn succeeds(&self, input: &Path, arguments: &[&str]) -> Told {
        let told = self.inject(input, arguments);
        assert_eq!(told.code, 0, "{arguments:?}: {}", told.err);
        told
    }

    fn out(&self) -> String {
        let mut text = String::new();
        let file = fs::File::open(self.path("out.csv.gz")).expect("it was written");
        GzDecoder::new(file).read_to_string(&mut text).expect("it is packed text");
        text
    }

    fn events(&self) -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_path(self.path("events.csv")).expect("it was written");
        reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split('\n').collect()
}
