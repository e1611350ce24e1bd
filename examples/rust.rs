//! API keys from Rust, with tokio-postgres.
//!
//! Run it as a role that is no more than a checker, after `examples/policy.sql`. `DATABASE_URL`
//! says where and as whom, as in `host=127.0.0.1 dbname=shop user=till password=...`:
//!
//!     API_KEY=... DATABASE_URL=... cargo run --release -p apikey-tests --example rust

use std::net::IpAddr;
use tokio_postgres::{Client, Error, NoTls};

struct Decision {
    allowed: bool,
    reason: String,
    owner: Option<String>,
}

/// Whether the key may do this from here, why not, and whose key it is. A bad key is no error.
async fn authorize(
    client: &Client,
    key: &str,
    address: IpAddr,
    scope: &str,
) -> Result<Decision, Error> {
    let statement =
        "SELECT allowed, reason, owner FROM keys.apikey_authorize($1::text, $2::inet, $3::text)";
    let row = client.query_one(statement, &[&key, &address, &scope]).await?;
    Ok(Decision { allowed: row.get(0), reason: row.get(1), owner: row.get(2) })
}

/// Writes a row for the owner of the key, and reads the rows that are theirs. None: refused.
async fn sell(
    client: &mut Client,
    key: &str,
    address: IpAddr,
    article: &str,
) -> Result<Option<Vec<String>>, Error> {
    // The identity ends with the transaction: log in again in the next one.
    let transaction = client.transaction().await?;
    let statement = "SELECT keys.apikey_login($1::text, $2::inet)";
    let login = transaction.query_one(statement, &[&key, &address]).await?;
    if !login.get::<_, bool>(0) {
        return Ok(None);
    }
    transaction.execute("INSERT INTO sale (article) VALUES ($1)", &[&article]).await?;
    let rows = transaction.query("SELECT article FROM sale ORDER BY id", &[]).await?;
    transaction.commit().await?;
    Ok(Some(rows.iter().map(|row| row.get(0)).collect()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::env::var("API_KEY")?;
    let address = IpAddr::from([192, 0, 2, 1]); // of whoever uses the key: the peer of the request
    let (mut client, connection) =
        tokio_postgres::connect(&std::env::var("DATABASE_URL")?, NoTls).await?;
    tokio::spawn(connection);

    let decision = authorize(&client, &key, address, "sale.write").await?;
    if !decision.allowed {
        return Err(format!("refused: {}", decision.reason).into());
    }
    let articles = sell(&mut client, &key, address, "bread").await?.ok_or("refused")?;
    println!("{}: {}", decision.owner.unwrap_or_default(), articles.join(", "));
    Ok(())
}
