//! From a question of the API server to its answer.

use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use kube::core::conversion::{ConversionRequest, ConversionResponse, ConversionReview};
use kube::core::response::StatusSummary;
use kube::core::{DynamicObject, Status};
use onlay_api::{MachineConfig, MachineConfigPool, MachineConfiguration, MachineOSConfig, names};
use onlay_core::admission::{self, Finding, Reference, Verdict};
use onlay_core::conversion;
use serde::de::DeserializeOwned;

/// Errors of an object that a refusal tells; it is one line for people.
const MAX_ERRORS: usize = 10;

/// Every object of the question in the version that it asks for, or why one of them cannot be told in it.
pub fn convert(review: ConversionReview) -> ConversionReview {
    let mut request = match ConversionRequest::from_review(review) {
        Ok(request) => request,
        Err(error) => return ConversionResponse::invalid(refusal(error.to_string())).into_review(),
    };
    let objects = std::mem::take(&mut request.objects);
    let wanted = request.desired_api_version.clone();
    let response = ConversionResponse::for_request(request);
    let converted: Result<Vec<_>, _> = objects.into_iter().map(|object| conversion::convert(object, &wanted)).collect();
    let response = match converted {
        Ok(objects) => response.success(objects),
        Err(error) => response.failure(refusal(error.to_string())),
    };
    response.into_review()
}

/// What the object of a question names.
pub fn references(review: &AdmissionReview<DynamicObject>) -> Vec<Reference> {
    let request = review.request.as_ref().filter(|request| request.kind.kind == "MachineOSConfig");
    let object = request.and_then(|request| typed::<MachineOSConfig>(request.object.as_ref()?).ok());
    object.map(|config| admission::references(&config)).unwrap_or_default()
}

/// Whether an object may be written; `absent` is what there is to say about what it names.
pub fn admit(review: AdmissionReview<DynamicObject>, absent: &[Finding]) -> AdmissionReview<DynamicObject> {
    let request: AdmissionRequest<DynamicObject> = match review.try_into() {
        Ok(request) => request,
        Err(error) => return AdmissionResponse::invalid(error).into_review(),
    };
    let mut response = AdmissionResponse::from(&request);
    // The API server shows the object in the version of the rule, whichever a person has written.
    let version = request.request_kind.as_ref().map_or(names::VERSION, |kind| kind.version.as_str());
    let line = |finding: &Finding| {
        let field = conversion::field_in(version, &finding.field);
        Finding { field, ..finding.clone() }.to_string()
    };
    match verdict(&request) {
        Ok(Verdict { errors, warnings }) => {
            if !errors.is_empty() {
                let more = errors.len().saturating_sub(MAX_ERRORS);
                let more = (more > 0).then(|| format!("and {more} more, which `onlay validate` shows"));
                let errors = errors.iter().take(MAX_ERRORS).map(line).chain(more).collect::<Vec<_>>().join("; ");
                response.allowed = false;
                response.result = refusal(format!("{} {}: {errors}", request.kind.kind, request.name));
            }
            let warnings = warnings.iter().chain(absent).map(line).collect::<Vec<_>>();
            response.warnings = (!warnings.is_empty()).then_some(warnings);
        }
        Err(error) => {
            response.allowed = false;
            let object = format!("{} {}", request.kind.kind, request.name);
            response.result = refusal(format!("failed to read {object}: {error}"));
        }
    }
    response.into_review()
}

fn verdict(request: &AdmissionRequest<DynamicObject>) -> Result<Verdict, serde_json::Error> {
    match request.kind.kind.as_str() {
        "MachineConfig" => judged::<MachineConfig>(request, admission::machine_config),
        "MachineConfigPool" => judged::<MachineConfigPool>(request, admission::pool),
        "MachineOSConfig" => judged::<MachineOSConfig>(request, admission::os_config),
        "MachineConfiguration" => {
            judged::<MachineConfiguration>(request, |new, _| admission::machine_configuration(new))
        }
        _ => Ok(Verdict::default()),
    }
}

/// What a decision says of the object of a question, and of the stored one if that can be read.
fn judged<O: DeserializeOwned>(
    request: &AdmissionRequest<DynamicObject>,
    decision: fn(&O, Option<&O>) -> Verdict,
) -> Result<Verdict, serde_json::Error> {
    let Some(object) = &request.object else { return Ok(Verdict::default()) };
    let old = request.old_object.as_ref().and_then(|old| typed(old).ok());
    Ok(decision(&typed(object)?, old.as_ref()))
}

fn typed<T: DeserializeOwned>(object: &DynamicObject) -> Result<T, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(object)?)
}

/// A refusal as the API server tells one of its own.
fn refusal(message: String) -> Status {
    Status {
        status: Some(StatusSummary::Failure),
        code: 422,
        reason: "Invalid".to_owned(),
        message,
        ..Status::default()
    }
}

#[cfg(test)]
mod tests;
