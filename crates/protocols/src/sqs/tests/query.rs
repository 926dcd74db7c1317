//! SQS in the Query protocol: forms in, XML out, to the byte.

use hub::testing::EMPTY_QUEUE;

use super::*;

const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

impl Site {
    async fn form(&self, path: &str, form: &str) -> Answer {
        let answer = self.post_form(path, &format!("{form}&Version=2012-11-05")).await;
        assert_eq!(answer.header("content-type"), Some("text/xml"));
        answer
    }

    /// A good answer's body, without what is the same in all.
    async fn result(&self, path: &str, form: &str) -> String {
        let answer = self.form(path, form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let action = form.split('&').next().unwrap().strip_prefix("Action=").unwrap();
        let begin = format!("<{action}Response xmlns=\"{NAMESPACE}\">");
        let id = answer.request_id();
        let end =
            format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>");
        let rest = answer.body.strip_prefix(&begin).unwrap_or_else(|| panic!("{}", answer.body));
        rest.strip_suffix(&end).unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    }

    async fn refused(&self, path: &str, form: &str, status: u16, code: &str, message: &str) {
        let answer = self.form(path, form).await;
        let side = if status < 500 { "Sender" } else { "Receiver" };
        let expected = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message><Detail/>\
             </Error><RequestId>{}</RequestId></ErrorResponse>",
            answer.request_id()
        );
        assert_eq!((answer.status, answer.body), (status, expected), "{form}");
    }
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name} in {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

#[tokio::test]
async fn messages_go_in_as_forms_and_come_out_as_xml() {
    let site = Site::all().await;
    let path = format!("/000000000000/{EMPTY_QUEUE}");
    assert_eq!(site.result(&path, "Action=ReceiveMessage").await, "<ReceiveMessageResult/>");
    let form = "Action=SendMessage&MessageBody=a+%3Cb%3E+%26%0D%0A&MessageAttribute.2.Name=n&MessageAttribute.2.Value.DataType=Number\
                &MessageAttribute.2.Value.StringValue=42&MessageAttribute.1.Name=b&MessageAttribute.1.Value.DataType=Binary\
                &MessageAttribute.1.Value.BinaryValue=AP9kYXRh&DelaySeconds=0&AWSAccessKeyId=test";
    let sent = site.result(&path, form).await;
    let (id, md5) = (element(&sent, "MessageId"), element(&sent, "MD5OfMessageBody"));
    let of_attributes = element(&sent, "MD5OfMessageAttributes");
    assert_eq!(
        sent,
        format!(
            "<SendMessageResult><MessageId>{id}</MessageId><MD5OfMessageBody>{md5}</MD5OfMessageBody>\
             <MD5OfMessageAttributes>{of_attributes}</MD5OfMessageAttributes></SendMessageResult>"
        )
    );
    assert_eq!(md5, digest::of_body("a <b> &\r\n"));

    let form = format!(
        "Action=ReceiveMessage&QueueUrl=http%3A%2F%2Fh%2F000000000000%2F{EMPTY_QUEUE}&AttributeName.1=ApproximateReceiveCount\
         &MessageAttributeName.1=All&MaxNumberOfMessages=10&VisibilityTimeout=5&WaitTimeSeconds=0"
    );
    let received = site.result("/", &form).await;
    let handle = element(&received, "ReceiptHandle");
    assert_eq!(
        received,
        format!(
            "<ReceiveMessageResult><Message><MessageId>{id}</MessageId><ReceiptHandle>{handle}</ReceiptHandle><MD5OfBody>{md5}\
             </MD5OfBody><Body>a &lt;b&gt; &amp;&#xD;\n</Body><Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value>\
             </Attribute><MD5OfMessageAttributes>{of_attributes}</MD5OfMessageAttributes><MessageAttribute><Name>b</Name><Value>\
             <DataType>Binary</DataType><BinaryValue>AP9kYXRh</BinaryValue></Value></MessageAttribute><MessageAttribute><Name>n\
             </Name><Value><DataType>Number</DataType><StringValue>42</StringValue></Value></MessageAttribute></Message>\
             </ReceiveMessageResult>"
        )
    );

    let handle: String = url::form_urlencoded::byte_serialize(handle.as_bytes()).collect();
    let change = format!("Action=ChangeMessageVisibility&ReceiptHandle={handle}&VisibilityTimeout=9");
    assert_eq!(site.result(&path, &change).await, "");
    assert_eq!(site.result(&path, &format!("Action=DeleteMessage&ReceiptHandle={handle}")).await, "");
}

#[tokio::test]
async fn batches_are_lists_of_entries() {
    let site = Site::all().await;
    let path = format!("/000000000000/{EMPTY_QUEUE}");
    let list = "SendMessageBatchRequestEntry";
    let form = format!(
        "Action=SendMessageBatch&{list}.10.Id=b&{list}.10.MessageBody=hello&{list}.2.Id=a&{list}.2.MessageBody=hello\
         &{list}.2.MessageAttribute.1.Name=n&{list}.2.MessageAttribute.1.Value.DataType=Number\
         &{list}.2.MessageAttribute.1.Value.StringValue=42&{list}.11.Id=c"
    );
    let sent = site.result(&path, &form).await;
    let ids: Vec<&str> = sent.split("<MessageId>").skip(1).map(|rest| &rest[..36]).collect();
    let md5 = "5d41402abc4b2a76b9719d911017c592";
    let of_attributes = element(&sent, "MD5OfMessageAttributes");
    assert_eq!(
        sent,
        format!(
            "<SendMessageBatchResult><SendMessageBatchResultEntry><Id>a</Id><MessageId>{}</MessageId><MD5OfMessageBody>{md5}\
             </MD5OfMessageBody><MD5OfMessageAttributes>{of_attributes}</MD5OfMessageAttributes></SendMessageBatchResultEntry>\
             <SendMessageBatchResultEntry><Id>b</Id><MessageId>{}</MessageId><MD5OfMessageBody>{md5}</MD5OfMessageBody>\
             </SendMessageBatchResultEntry><BatchResultErrorEntry><Id>c</Id><Code>MissingParameter</Code><Message>The request must \
             contain the parameter MessageBody.</Message><SenderFault>true</SenderFault></BatchResultErrorEntry>\
             </SendMessageBatchResult>",
            ids[0], ids[1]
        )
    );
    let list = "DeleteMessageBatchRequestEntry";
    let form = format!("Action=DeleteMessageBatch&{list}.1.Id=x&{list}.1.ReceiptHandle=garbage");
    assert_eq!(
        site.result(&path, &form).await,
        "<DeleteMessageBatchResult><BatchResultErrorEntry><Id>x</Id><Code>ReceiptHandleIsInvalid</Code><Message>The receipt handle \
         \"garbage\" is not valid for this queue.</Message><SenderFault>true</SenderFault></BatchResultErrorEntry>\
         </DeleteMessageBatchResult>"
    );
}

#[tokio::test]
async fn queues_are_found_and_described() {
    let site = Site::all().await;
    let path = format!("/000000000000/{EMPTY_QUEUE}");
    let url = |queue: &str| format!("http://hub.test:4566/000000000000/{queue}");
    assert_eq!(
        site.result("/", &format!("Action=GetQueueUrl&QueueName={QUEUE}")).await,
        format!("<GetQueueUrlResult><QueueUrl>{}</QueueUrl></GetQueueUrlResult>", url(QUEUE))
    );
    // At the URL of another queue, too.
    site.result(&path, &format!("Action=GetQueueUrl&QueueName={QUEUE}")).await;
    assert_eq!(
        site.result("/", "Action=ListQueues&QueueNamePrefix=profile").await,
        format!(
            "<ListQueuesResult><QueueUrl>{}</QueueUrl><QueueUrl>{}</QueueUrl></ListQueuesResult>",
            url(RAW_QUEUE),
            url(QUEUE)
        )
    );
    assert_eq!(site.result("/", "Action=ListQueues&QueueNamePrefix=x").await, "<ListQueuesResult/>");
    let one = "<GetQueueAttributesResult><Attribute><Name>VisibilityTimeout</Name><Value>30</Value></Attribute>\
               </GetQueueAttributesResult>";
    // With a number, without one, and from 0.
    for name in ["AttributeName.1", "AttributeName", "AttributeName.0"] {
        assert_eq!(
            site.result(&path, &format!("Action=GetQueueAttributes&{name}=VisibilityTimeout")).await,
            one
        );
    }
    assert_eq!(site.result(&path, "Action=GetQueueAttributes").await, "<GetQueueAttributesResult/>");
}

#[tokio::test]
async fn errors_have_a_detail_and_the_words_of_this_protocol() {
    let site = Site::all().await;
    let path = format!("/000000000000/{EMPTY_QUEUE}");
    let gone = "The specified queue does not exist for this wsdl version.";
    let code = "AWS.SimpleQueueService.NonExistentQueue";
    site.refused("/000000000000/other", "Action=ReceiveMessage", 400, code, gone).await;
    site.refused(
        &path,
        "Action=SendMessage",
        400,
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    )
    .await;
    // The parameter, and not the path.
    site.refused(&path, "Action=ReceiveMessage&QueueUrl=other", 400, code, gone).await;
    for (path, action, written) in [
        (path.as_str(), "FooBar", "FooBar"),
        (&path, "CreateQueue", "CreateQueue"),
        (&path, "ListQueues", "ListQueues"),
        ("/", "%3Cb%3E", "&lt;b&gt;"),
    ] {
        let message = format!("The action {written} is not valid for this endpoint.");
        site.refused(path, &format!("Action={action}"), 400, "InvalidAction", &message).await;
    }
    let answer = site.form(&path, "Action=ReceiveMessage&MaxNumberOfMessages=many").await;
    assert!(answer.status == 400 && answer.body.contains("<Code>MalformedInput</Code>"), "{}", answer.body);
    let text = "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.";
    site.refused(&path, "Action=ReceiveMessage&MaxNumberOfMessages=11", 400, "InvalidParameterValue", text)
        .await;
    let get = site.get(&format!("{path}?Action=GetQueueAttributes&AttributeName.1=All")).await;
    assert_eq!(get.status, 200, "{}", get.body);
    // A page of another site can have a browser get an address.
    for action in ["ReceiveMessage", "PurgeQueue", "DeleteQueue", "SendMessage&MessageBody=a"] {
        let get =
            site.get(&format!("{path}?Action={action}&X-Amz-Credential=k/20261130/r/sqs/aws4_request")).await;
        assert_eq!(get.status, 405, "{action}: {}", get.body);
    }
}

#[tokio::test]
async fn every_supported_action_is_there_in_this_protocol_too() {
    let site = Site::all().await;
    for operation in SUPPORTED {
        let answer = site.form("/", &format!("Action={operation}&QueueUrl={QUEUE}")).await;
        assert!(!answer.body.contains("InvalidAction"), "{operation}: {}", answer.body);
    }
}

#[test]
fn a_form_is_the_object_that_it_would_be_in_json() {
    let form = "Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=7&Attribute.2.Name=Policy&Tag.1.Key=team&Tag.1.Value=a\
                &MaxResults=9&QueueName=7&TagKey.1=x&TagKey.2=y&MessageSystemAttribute.1.Name=AWSTraceHeader\
                &MessageSystemAttribute.1.Value.DataType=String&MessageSystemAttribute.1.Value.StringValue=Root";
    let parameters = crate::query::Parameters::parse("", form.as_bytes());
    let expected = json!({
        "Attributes": { "VisibilityTimeout": "7", "Policy": "" },
        "MaxResults": 9,
        "MessageSystemAttributes": { "AWSTraceHeader": { "DataType": "String", "StringValue": "Root" } },
        "QueueName": "7",
        "Tags": { "team": "a" },
        "TagKeys": ["x", "y"],
    });
    assert_eq!(super::super::query::read(&parameters), expected);
    let parameters =
        crate::query::Parameters::parse("", b"Attribute.Name=VisibilityTimeout&Attribute.Value=7");
    assert_eq!(super::super::query::read(&parameters), json!({ "Attributes": { "VisibilityTimeout": "7" } }));
}
