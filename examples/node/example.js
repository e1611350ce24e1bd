// API keys from Node, with pg (npm ci --prefix examples/node; or Debian's node-pg).
//
// Run it as a role that is no more than a checker, after examples/policy.sql; libpq's variables
// (PGHOST, PGDATABASE, PGUSER ...) say where and as whom:
//
//     API_KEY=... node examples/node/example.js

const { Client } = require("pg");

// Whether the key may do this from here, why not, and whose key it is. A bad key is no error.
async function authorize(client, key, address, scope) {
  const { rows } = await client.query(
    "SELECT allowed, reason, owner FROM keys.apikey_authorize($1::text, $2::inet, $3::text)",
    [key, address, scope],
  );
  return rows[0];
}

// Writes a row for the owner of the key, and reads the rows that are theirs.
async function sell(client, key, address, article) {
  await client.query("BEGIN");
  try {
    // The identity ends with the transaction: log in again in the next one.
    const login = await client.query(
      "SELECT keys.apikey_login($1::text, $2::inet) AS allowed",
      [key, address],
    );
    if (!login.rows[0].allowed) throw new Error("refused");
    await client.query("INSERT INTO sale (article) VALUES ($1)", [article]);
    const sales = await client.query("SELECT article FROM sale ORDER BY id");
    await client.query("COMMIT");
    return sales.rows.map((row) => row.article);
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

async function main() {
  const key = process.env.API_KEY;
  const address = "192.0.2.1"; // of whoever uses the key: the peer of the request
  const client = new Client();
  await client.connect();
  try {
    const { allowed, reason, owner } = await authorize(client, key, address, "sale.write");
    if (!allowed) throw new Error(`refused: ${reason}`);
    const articles = await sell(client, key, address, "bread");
    console.log(`${owner}: ${articles.join(", ")}`);
  } finally {
    await client.end();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
