//! The commands that the pages of docs/ show, typed into real programs, and the answers that they
//! show.
//!
//! A page is read from top to bottom. A block of `sh` is run by sh, in the root of the checkout,
//! and must succeed. A block of `sql` is typed into psql, one session per page, in the database
//! `shop`. A block of `text` is what the block before it answered, whole; a block without one must
//! not answer with an error.
//!
//! What differs from run to run may differ: a key and its prefix (but each stands for one key
//! throughout the page), times, and the width of columns.

use apikey_tests::{Cluster, from_test_script, program, run};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn managing_keys() {
    check_page("managing-keys.md");
}

#[test]
fn applications() {
    check_page("applications.md");
}

#[test]
fn row_level_security() {
    check_page("row-level-security.md");
}

/// Each test that the security model names is there.
#[test]
fn the_security_model_names_tests_that_exist() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/security.md")).unwrap();
    let mut named = 0;
    for name in page.split('`').filter(|word| word.split("::").count() > 2) {
        let (module, test) = name.rsplit_once("::").unwrap();
        let file = format!("{ROOT}/tests/{}.rs", module.replace("::", "/"));
        let tests =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(tests.contains(&format!("#[test]\nfn {test}() {{")), "there is no {name}");
        named += 1;
    }
    assert!(named > 50, "only {named} tests are named");
}

/// This test would notice if a page were wrong.
#[test]
fn a_wrong_page_is_noticed() {
    let machine = Machine::new();
    let key = "Abcdefgh.ABCDEFGHIJKLMNOPQRSTUVWXYZ123456";
    let start = "```sh\ndropdb --if-exists --force shop\ncreatedb shop\npsql -d shop -c 'CREATE EXTENSION apikey'\n```\n";
    let create = format!(
        "```sql\nSELECT apikey_create('till', 'sale');\n```\n```text\n apikey_create\n---\n {key}\n(1 row)\n```\n"
    );
    let ask = |key: &str, answer: &str| {
        format!(
            "```sql\n\\t\nSELECT apikey_explain('{key}', NULL);\n```\n```text\nTuples only is on.\n {answer}\n```\n"
        )
    };
    let page = |rest: &str| format!("{start}{create}{rest}");

    assert_eq!(machine.check(&page(&ask(key, "accepted"))), Ok(3));
    for wrong in [
        ask(key, "refused"),
        ask(&key.replace("A", "B"), "accepted"),
        "```sql\nSELECT 1/0;\n```\n".to_owned(),
        "```sh\nfalse\n```\n".to_owned(),
        "```text\nan answer to nothing\n```\n".to_owned(),
        create.clone(),
    ] {
        assert!(machine.check(&page(&wrong)).is_err(), "{wrong}");
    }
}

fn check_page(name: &str) {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/{name}")).unwrap();
    match Machine::new().check(&page) {
        Ok(commands) => assert!(commands > 3, "{name}: only {commands} blocks were run"),
        Err(wrong) => panic!("{name}: {wrong}"),
    }
}

/// A cluster where nobody is asked for a password, for roles have the same names in all databases.
struct Machine {
    cluster: Cluster,
    _files: TempDir,
}

impl Machine {
    fn new() -> Self {
        let files = tempfile::Builder::new()
            .prefix("apikey-docs.")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let hba = files.path().join("hba.conf");
        std::fs::write(&hba, "host all all 127.0.0.1/32 trust\n").unwrap();
        let setting = format!("hba_file = '{}'", hba.display());
        Self { cluster: Cluster::preloaded(&[&setting]), _files: files }
    }

    /// The number of blocks that were run, or what is wrong with the page.
    fn check(&self, page: &str) -> Result<usize, String> {
        let mut psql = None;
        let mut keys = Keys::default();
        let mut commands = 0;
        let mut blocks = blocks(page).into_iter().peekable();
        while let Some(block) = blocks.next() {
            let typed = keys.to_real(block.text);
            let (answer, failed) = match block.language {
                "sh" => {
                    let mut command = self.command("sh", &["-ec", &format!("exec 2>&1\n{typed}")]);
                    let output = run(command.current_dir(ROOT));
                    (output.stdout, output.code != Some(0))
                }
                "sql" => {
                    let session = psql.get_or_insert_with(|| Psql::start(self));
                    let answer = session.say(&typed);
                    let failed = answer.contains("ERROR:") || answer.contains("FATAL:");
                    (answer, failed)
                }
                "text" => return Err(format!("an answer to no command:\n{}", block.text)),
                _ => continue,
            };
            commands += 1;
            let shown = blocks.next_if(|next| next.language == "text");
            // A command of sh never fails on these pages; one of SQL may, if the page shows it.
            if failed && (block.language == "sh" || shown.is_none()) {
                return Err(format!("{}\nfails:\n{answer}", block.text));
            }
            if let Some(shown) = shown {
                keys.learn(shown.text, &answer);
                let answer = keys.to_shown(&answer);
                if comparable(&answer) != comparable(shown.text) {
                    return Err(format!(
                        "{}\nanswers:\n{answer}\nand not:\n{}",
                        block.text, shown.text
                    ));
                }
            }
        }
        Ok(commands)
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let bin = run(&mut program(&from_test_script("PG_CONFIG"), &["--bindir"])).success();
        let path = std::env::var("PATH").unwrap();
        let mut command = program(name, arguments);
        command
            .env("PATH", format!("{bin}:{path}"))
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.cluster.port().to_string())
            .env("PGUSER", "postgres")
            .env("LC_ALL", "C");
        command
    }
}

struct Psql {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Psql {
    fn start(machine: &Machine) -> Self {
        // The lines that say where in a function an error was raised are left out: they name line
        // numbers.
        let command = "exec psql -X -d shop -v SHOW_CONTEXT=never 2>&1";
        let mut child = machine
            .command("sh", &["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// Types something, and reads what psql says to it.
    fn say(&mut self, text: &str) -> String {
        const END: &str = "end of the answer\n";
        // What \! runs prints past psql's buffer, so psql empties that first.
        writeln!(self.stdin, "{text}\\echo {END}\\! true").unwrap();
        let mut answer = String::new();
        while !answer.ends_with(END) {
            let read = self.stdout.read_line(&mut answer).unwrap();
            assert_ne!(read, 0, "psql ended: {answer}");
        }
        answer.truncate(answer.len() - END.len());
        answer
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut fences = page.split("\n```");
    let first = fences.next().unwrap_or_default();
    // Without a line before it, the first fence of a page has no line end to be found by.
    let mut blocks: Vec<_> = first.strip_prefix("```").into_iter().chain(fences).collect();
    // Every second piece is what stands between two blocks.
    let mut inside = false;
    blocks.retain(|_| {
        inside = !inside;
        inside
    });
    blocks
        .into_iter()
        .map(|block| {
            let (language, text) = block.split_once('\n').unwrap_or((block, ""));
            Block { language, text }
        })
        .collect()
}

/// The keys that the page shows, each with the one that was made in its stead.
#[derive(Default)]
struct Keys(Vec<(String, String)>);

impl Keys {
    fn learn(&mut self, shown: &str, answer: &str) {
        for (shown, real) in keys_in(shown).into_iter().zip(keys_in(answer)) {
            if !self.0.iter().any(|known| known.0 == shown || known.1 == real) {
                self.0.push((shown.to_owned(), real.to_owned()));
            }
        }
    }

    fn to_real(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| replace(&text, shown, real))
    }

    fn to_shown(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| replace(&text, real, shown))
    }
}

fn keys_in(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .filter(|word| word.len() == 41 && word.find('.') == Some(8))
        .collect()
}

/// Prefix and secret, wherever they stand.
fn replace(text: &str, key: &str, other: &str) -> String {
    text.replace(&key[..8], &other[..8]).replace(&key[9..], &other[9..])
}

/// Without times and the width of columns.
fn comparable(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = without_times(line);
        let words: Vec<_> = line.split_whitespace().collect();
        let mut line = words.join(" ");
        while line.contains("---") {
            line = line.replace("---", "--");
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// `2026-01-31 12:34:56.789+00`, also with a `T` in it, becomes `TIME`.
fn without_times(line: &str) -> String {
    let bytes = line.as_bytes();
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        if is_time(&bytes[at..]) {
            let end = bytes[at + 19..].iter().position(|b| !b"0123456789.:+-".contains(b));
            at = end.map_or(bytes.len(), |end| at + 19 + end);
            text.push_str("TIME");
        } else {
            let next = (at + 1..=bytes.len()).find(|&i| line.is_char_boundary(i)).unwrap();
            text.push_str(&line[at..next]);
            at = next;
        }
    }
    text
}

fn is_time(bytes: &[u8]) -> bool {
    let shape = b"0000-00-00 00:00:00";
    bytes.len() >= shape.len()
        && bytes.iter().zip(shape).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b' ' => b" T".contains(byte),
            other => byte == other,
        })
}
