//! Bytes per second and core of the stages for Chinese: on text that they leave alone, and on text that they change.
//!
//!     cargo bench --bench chinese

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use documents::{chinese, english};
use trommel::doc::Doc;
use trommel::stage::{Entry, Stage};
use trommel::{filter, normalize};

mod documents;

const STAGES: [&str; 5] = ["mojibake", "chinese_script", "chinese_punctuation", "garbled", "chinese_lines"];

/// Chinese pages: prose in traditional characters, with ASCII marks and the furniture of a page around it.
fn pages() -> Vec<String> {
    let page = |prose: String| {
        let prose = prose.replace('，', ",").replace("\n\n", "\n\n漢字簡化之後,頭髮還是頭髮...\n\n");
        format!(
            "首頁 > 新聞 > 正文\n2024-01-01 12:30 來源：某某網\n\n{prose}\n\n上一篇：春天\n版權所有 ICP备12345678号\n"
        )
    };
    chinese().into_iter().map(page).collect()
}

/// UTF-8 read as Latin-1.
fn garbled() -> Vec<String> {
    chinese().iter().map(|text| text.bytes().map(char::from).collect()).collect()
}

fn stages(criterion: &mut Criterion) {
    let texts = [("english", english()), ("chinese", chinese()), ("pages", pages()), ("garbled", garbled())];
    for (name, texts) in texts {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
        group.sample_size(20);
        for entry in normalize::ALL.iter().chain(filter::ALL).filter(|entry| STAGES.contains(&entry.name)) {
            let stage = build(entry);
            group.bench_function(entry.name, |b| {
                b.iter(|| {
                    texts.iter().for_each(|text| drop(black_box(stage.apply(&Doc::bare(text), &mut Vec::new()))));
                });
            });
        }
    }
}

fn build(entry: &Entry) -> Stage {
    (entry.build)(toml::Table::new()).expect(entry.name)
}

criterion_group!(benches, stages);
criterion_main!(benches);
