//! The fields of a form, each with its label, its hint and what is wrong with it.

use maud::{Markup, html};

use crate::db::key::Key;
use crate::db::scopes::Scope;
use crate::key_form::{Field, KeyForm, Mistake, sorted};
use crate::lang::Texts;

/// What a form of a key is made from.
pub struct Fields<'a> {
    pub texts: &'a Texts,
    pub input: &'a KeyForm,
    pub mistakes: &'a [Mistake],
    pub known: &'a [Scope],
    /// What the database has, where somebody else changed it meanwhile.
    pub theirs: Option<&'a Key>,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Auth => "auth",
            Self::Ips => "ips",
            Self::ExpiresAt => "expires_at",
            Self::Owner => "owner",
            Self::Tenant => "tenant",
            Self::CreateRevoke => "create_revoke",
        }
    }

    fn label(self, texts: &Texts) -> &'static str {
        match self {
            Self::Name => texts.name,
            Self::Auth => texts.auth,
            Self::Ips => texts.ips,
            Self::ExpiresAt => texts.expires_at,
            Self::Owner => texts.owner,
            Self::Tenant => texts.tenant,
            Self::CreateRevoke => texts.create_revoke,
        }
    }
}

impl Fields<'_> {
    /// All that is wrong, above the form, with links to the fields.
    pub fn summary(&self) -> Markup {
        if self.mistakes.is_empty() {
            return html! {};
        }
        html! {
            div .notice .bad role="alert" tabindex="-1" {
                h2 { (self.texts.mistakes_title) }
                ul {
                    @for (field, sentence) in self.mistakes {
                        li { a href={ "#" (self.target(*field)) } {
                            (field.label(self.texts)) (self.texts.colon) (sentence)
                        } }
                    }
                }
            }
        }
    }

    fn target(&self, field: Field) -> &'static str {
        match field {
            Field::Auth if !self.known.is_empty() => "scope-0",
            field => field.name(),
        }
    }

    pub fn name(&self) -> Markup {
        self.line(Field::Name, &self.input.name, self.texts.name_hint, "text", true)
    }

    pub fn owner(&self) -> Markup {
        self.line(Field::Owner, &self.input.owner, self.texts.owner_hint, "text", false)
    }

    pub fn tenant(&self) -> Markup {
        self.line(Field::Tenant, &self.input.tenant, self.texts.tenant_hint, "text", false)
    }

    pub fn expires_at(&self) -> Markup {
        let hint = self.texts.expires_hint;
        self.line(Field::ExpiresAt, &self.input.expires_at, hint, "datetime-local", false)
    }

    fn line(&self, field: Field, value: &str, hint: &str, kind: &str, required: bool) -> Markup {
        let name = field.name();
        self.around(
            field,
            hint,
            &html! {
                input id=(name) type=(kind) name=(name) value=(value) required[required] autofocus[self.is_first(field)]
                    aria-invalid=[self.invalid(field)] aria-describedby=(self.described(field));
            },
        )
    }

    pub fn ips(&self) -> Markup {
        self.around(Field::Ips, self.texts.ips_hint, &html! {
            textarea #ips name="ips" rows="3" spellcheck="false" autocapitalize="none"
                autofocus[self.is_first(Field::Ips)] aria-invalid=[self.invalid(Field::Ips)] aria-describedby=(self.described(Field::Ips))
                { (self.input.ips) }
            // A script writes here.
            p .error #ips-said role="status" data-wrong=((self.texts.ips_wrong)("")) {}
        })
    }

    /// Boxes where the scopes are known, and a line where they are not.
    pub fn auth(&self) -> Markup {
        if self.known.is_empty() {
            let hint = self.texts.auth_hint;
            return self.line(Field::Auth, &self.input.auth, hint, "text", true);
        }
        let chosen = self.input.scopes();
        let retired =
            chosen.iter().filter(|name| !self.known.iter().any(|known| known.name == **name));
        let boxes = self
            .known
            .iter()
            .map(|scope| (scope.name.as_str(), scope.description.as_str()))
            .chain(retired.map(|name| (name.as_str(), self.texts.scope_retired)));
        html! {
            fieldset .field aria-describedby=(self.described(Field::Auth)) {
                legend { (self.texts.auth) }
                p .hint #auth-hint { (self.texts.scopes_hint) }
                (self.error(Field::Auth))
                @for (at, (name, description)) in boxes.enumerate() {
                    @let id = format!("scope-{at}");
                    div .box {
                        input id=(id) type="checkbox" name="scope" value=(name)
                            checked[chosen.iter().any(|known| known == name)];
                        label for=(id) { code { (name) } " " (description) }
                    }
                }
                (self.theirs(Field::Auth))
            }
        }
    }

    /// A button in the shape of a box: what ticking it does, it does once.
    pub fn create_revoke(&self, hint: &str) -> Markup {
        let field = Field::CreateRevoke;
        html! {
            div .field {
                (self.error(field))
                div .box {
                    input #create_revoke type="checkbox" name="create_revoke" value="1"
                        checked[self.input.create_revoke] autofocus[self.is_first(field)]
                        aria-invalid=[self.invalid(field)] aria-describedby=(self.described(field));
                    label for="create_revoke" { (self.texts.create_revoke) }
                }
                p .hint #create_revoke-hint { (hint) }
            }
        }
    }

    fn around(&self, field: Field, hint: &str, input: &Markup) -> Markup {
        let name = field.name();
        html! {
            div .field {
                label for=(name) { (field.label(self.texts)) }
                p .hint id={ (name) "-hint" } { (hint) }
                (self.error(field))
                (input)
                (self.theirs(field))
            }
        }
    }

    fn mistake(&self, field: Field) -> Option<&str> {
        let mut found = self.mistakes.iter().filter(|(wrong, _)| *wrong == field);
        found.next().map(|(_, sentence)| sentence.as_str())
    }

    fn error(&self, field: Field) -> Markup {
        let name = field.name();
        html! {
            @if let Some(sentence) = self.mistake(field) {
                p .error id={ (name) "-error" } { (sentence) }
            }
        }
    }

    /// Where to type next.
    fn is_first(&self, field: Field) -> bool {
        self.mistakes.first().is_some_and(|(wrong, _)| *wrong == field)
    }

    fn invalid(&self, field: Field) -> Option<&'static str> {
        self.mistake(field).map(|_| "true")
    }

    fn described(&self, field: Field) -> String {
        let name = field.name();
        match self.mistake(field) {
            Some(_) => format!("{name}-hint {name}-error"),
            None => format!("{name}-hint"),
        }
    }

    /// What stands in the database, where it is not what is typed.
    fn theirs(&self, field: Field) -> Markup {
        let Some(key) = self.theirs else { return html! {} };
        let theirs = KeyForm::of_key(key);
        let (ours, value) = match field {
            Field::Name => (self.input.name.clone(), theirs.name),
            Field::Auth => {
                let names = |input: &KeyForm| sorted(input.scopes()).join(", ");
                (names(self.input), names(&theirs))
            }
            Field::Ips => (self.input.networks(), theirs.networks()),
            Field::ExpiresAt => (self.input.expires_at.clone(), theirs.expires_at),
            Field::Owner => (self.input.owner.clone(), theirs.owner),
            Field::Tenant | Field::CreateRevoke => return html! {},
        };
        html! {
            @if ours != value {
                p .theirs {
                    (self.texts.in_the_database) " "
                    @if value.is_empty() { em { (self.texts.nothing) } } @else { code { (value) } }
                }
            }
        }
    }
}
