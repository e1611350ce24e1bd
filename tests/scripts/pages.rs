//! What the pages say of this repository, where that can be looked up.

use crate::ROOT;
use apikey_tests::{Cluster, Database, PUBLISHED_KEY, one, program, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// `(path, text)` of each page but the one from which `make bench` makes another.
fn pages() -> Vec<(String, String)> {
    let list = run(program("git", &["ls-files", "*.md"]).current_dir(ROOT)).success();
    let read = |name: &str| std::fs::read_to_string(format!("{ROOT}/{name}")).unwrap();
    let names = list.lines().filter(|name| *name != "bench/benchmarks.md");
    names.map(|name| (name.to_owned(), read(name))).collect()
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The targets of `[…](…)`, `src="…"` and `srcset="…"`.
fn links(text: &str) -> Vec<&str> {
    let find =
        |start, end| text.split(start).skip(1).filter_map(move |rest| rest.split(end).next());
    find("](", ')').chain(find("src=\"", '"')).chain(find("srcset=\"", '"')).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut followed = 0;
    for (page, text) in &pages {
        let folder = Path::new(page).parent().unwrap();
        for link in links(text).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.into() } else { folder.join(file) };
            let target = Path::new(ROOT).join(target);
            assert!(target.exists(), "{page}: {link}");
            let text = std::fs::read_to_string(&target).unwrap_or_default();
            let mut headings = text.lines().filter_map(|line| line.split_once("# "));
            let found = heading.is_empty() || headings.any(|(_, name)| anchor(name) == heading);
            assert!(found, "{page}: {link}");
            followed += 1;
        }
    }
    assert!(followed > 100, "only {followed} links");
}

#[test]
fn every_source_that_is_named_is_there() {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    let mut named = 0;
    for (page, text) in pages() {
        let words = text.split(|c| !is_part(c)).filter(|word| word.ends_with(".rs"));
        for file in words.filter(|word| word.contains('/') && !word.starts_with('.')) {
            assert!(Path::new(ROOT).join(file).exists(), "{page}: {file}");
            named += 1;
        }
    }
    assert!(named > 5, "only {named} are named");
}

/// All but what makes roles, which are the whole server's.
#[test]
fn the_readme_shows_sql_that_works() {
    let database = Database::without_extension(Cluster::shared());
    let mut client = database.superuser();
    client.batch_execute("CREATE SCHEMA keys; CREATE EXTENSION apikey SCHEMA keys").unwrap();
    let key = one(&mut client, "SELECT keys.apikey_create('shown', 'event')").unwrap();
    let readme = std::fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let blocks = readme.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks: Vec<_> = blocks.filter(|block| !block.contains("CREATE ROLE")).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let block = block.replace(PUBLISHED_KEY, &key).replace(&PUBLISHED_KEY[..8], &key[..8]);
        client.batch_execute(&block).unwrap();
    }
}

#[test]
fn the_drawing_of_the_crates_is_what_cargo_builds() {
    let metadata = ["metadata", "--no-deps", "--format-version", "1"];
    let metadata = run(program(env!("CARGO"), &metadata).current_dir(ROOT)).success();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<_> = packages.iter().map(|package| &package["name"]).map(name).collect();
    let mut built = BTreeSet::new();
    for package in packages {
        for other in package["dependencies"].as_array().unwrap() {
            if ours.contains(name(&other["name"])) {
                built.insert(format!("{} --> {}", name(&package["name"]), name(&other["name"])));
            }
        }
    }
    let page = std::fs::read_to_string(format!("{ROOT}/docs/architecture.md")).unwrap();
    let arrows = page.lines().map(str::trim).filter(|line| line.contains(" --> "));
    assert_eq!(arrows.map(str::to_owned).collect::<BTreeSet<_>>(), built);
}

fn name(value: &Value) -> &str {
    value.as_str().unwrap()
}
