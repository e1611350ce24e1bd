//! What a developer's tools see and set, which WebDriver alone does not: the console, media,
//! languages, scripts.

use crate::browser::Browser;
use fantoccini::wd::WebDriverCompatibleCommand;
use serde_json::{Value, json};

impl Browser {
    /// Whether pages are shown light or dark.
    pub fn set_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// A window of this size; the narrow ones are phones.
    pub fn set_size(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Runs no script of the pages from now on.
    pub fn stop_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }

    /// Lets the pages of this address use the clipboard, as a person does who is asked.
    pub fn allow_clipboard(&self, url: &str) {
        let permissions = json!(["clipboardReadWrite", "clipboardSanitizedWrite"]);
        let origin = url.trim_end_matches('/');
        let granted = json!({ "origin": origin, "permissions": permissions });
        self.devtools("Browser.grantPermissions", granted);
    }

    pub fn clipboard(&self) -> String {
        let read = "navigator.clipboard.readText().then(arguments[0])";
        let text = self.runtime.block_on(self.client.execute_async(read, vec![])).unwrap();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// What the console has shown since it was last asked, but for what the page only tells.
    pub fn console_errors(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap().iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub(crate) fn devtools(&self, name: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": name, "params": parameters }))
    }

    fn command(&self, path: &'static str, body: Value) -> Value {
        let command = self.client.issue_cmd(Extension { path, body });
        self.runtime.block_on(command).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
