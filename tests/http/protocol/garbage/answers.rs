//! What a connection got, read strictly.

use httparse::{EMPTY_HEADER, Response, Status};

/// How many answers these bytes are, all with a status that is expected; or why they are not.
pub fn count(mut bytes: &[u8], expected: &[u16]) -> Result<u64, String> {
    let mut count = 0;
    while !bytes.is_empty() {
        let length =
            length(bytes, expected).map_err(|why| format!("{why}: {}", bytes.escape_ascii()))?;
        bytes = &bytes[length..];
        count += 1;
    }
    Ok(count)
}

fn length(bytes: &[u8], expected: &[u16]) -> Result<usize, String> {
    let mut headers = [EMPTY_HEADER; 32];
    let mut answer = Response::new(&mut headers);
    let head = match answer.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        other => return Err(format!("no head of an answer ({other:?})")),
    };
    let status = answer.code.unwrap_or_default();
    if !expected.contains(&status) {
        return Err(format!("status {status}"));
    }
    let header = |name: &str| {
        let mut values =
            answer.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some(header), None) => Ok(std::str::from_utf8(header.value).unwrap_or_default()),
            _ => Err(format!("not one {name}")),
        }
    };
    for name in ["cache-control", "date", "x-request-id"] {
        header(name)?;
    }
    if header("cache-control")? != "no-store" {
        return Err("a cache may keep it".to_owned());
    }
    let rest = &bytes[head..];
    if status == 204 {
        return Ok(head);
    }
    let length: usize = header("content-length")?.parse().map_err(|_| "no length".to_owned())?;
    // The answer to a HEAD has the length and not the body.
    if rest.is_empty() || rest.starts_with(b"HTTP/1.") {
        return Ok(head);
    }
    let body = rest.get(..length).ok_or("not the whole body")?;
    let body: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    if status != 200 && body["status"] != status {
        return Err("the body has another status".to_owned());
    }
    if body.get("auth").is_some() {
        return Err("a wrong key was accepted".to_owned());
    }
    Ok(head + length)
}
